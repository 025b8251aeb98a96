//! Everything that can go wrong in this crate.

use crate::Format;

/// Why a conversion between values and blocks was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A name that is not one of [`Format::ALL`].
    #[error("unknown weight format `{name}`; expected one of {}", crate::format::list_names())]
    UnknownFormat {
        /// The name as it was given.
        name: String,
    },
    /// A name that is not one of [`Mix::ALL`](crate::Mix::ALL).
    #[error("unknown quantization `{name}`; expected one of {}", crate::mix::list_names())]
    UnknownMix {
        /// The name as it was given.
        name: String,
    },
    /// The number of values does not fill whole blocks.
    #[error(
        "{format}: {n_values} values are not a whole number of blocks of {}; \
         pad each row, or choose a format with a smaller block",
        format.block_len()
    )]
    PartialBlock {
        /// The format asked for.
        format: Format,
        /// The number of values given.
        n_values: usize,
    },
    /// The bytes and the values do not describe the same number of blocks.
    #[error(
        "{format}: {n_values} values take {expected} bytes but the byte buffer has {found}; \
         check the tensor's shape against its byte range"
    )]
    ByteLength {
        /// The format asked for.
        format: Format,
        /// The number of values given or wanted.
        n_values: usize,
        /// The bytes that this many values take.
        expected: usize,
        /// The length of the byte buffer.
        found: usize,
    },
    /// Bytes that cannot be viewed as blocks in place.
    #[error(
        "{format}: {n_bytes} bytes at this address cannot be viewed as blocks of {} bytes ({reason}); \
         copy them to a 2-byte aligned buffer of whole blocks, or use `dequantize`, which takes any address",
        format.block_bytes()
    )]
    Cast {
        /// The format of the blocks wanted.
        format: Format,
        /// The length of the byte buffer.
        n_bytes: usize,
        /// What did not fit: the length or the alignment.
        reason: String,
    },
    /// A block format was given a value that no block can hold.
    #[error(
        "{format}: value {index} is {value}, and a block holds finite values of magnitude up to {} only; \
         store this tensor as F32",
        crate::quantize::MAX_MAGNITUDE
    )]
    Unrepresentable {
        /// The format asked for.
        format: Format,
        /// Position in the slice of values.
        index: usize,
        /// The value found there.
        value: f32,
    },
    /// The numbers of activations and of activation blocks differ.
    #[error("{n_blocks} blocks of {block_len} activations hold {} values but {n_values} were given; \
             size the block buffer to the padded row", n_blocks.saturating_mul(*block_len))]
    ActivationLength {
        /// Values given.
        n_values: usize,
        /// Blocks given.
        n_blocks: usize,
        /// Values per block.
        block_len: usize,
    },
    /// The importance vector does not match the rows.
    #[error(
        "rows of {row_len} values need {row_len} importance weights but {found} were given, \
         and {n_values} values must be whole rows; pass one weight per column"
    )]
    ImportanceLength {
        /// Values per row.
        row_len: usize,
        /// Weights given.
        found: usize,
        /// Values given.
        n_values: usize,
    },
    /// An importance weight is negative, infinite or NaN.
    #[error("importance weight {index} is {value}; expected a finite number that is zero or more")]
    Importance {
        /// The column.
        index: usize,
        /// The weight found there.
        value: f32,
    },
}
