//! Caps on what a file may declare. They are far above any real model and far below what could hurt.

/// Longest string value, in bytes (16 MiB). Chat templates are the longest real ones, tens of kilobytes.
pub const MAX_STRING_BYTES: u64 = 16 << 20;

/// Longest metadata key or tensor name, in bytes; the specification's own limit for keys.
pub const MAX_NAME_BYTES: u64 = 65_535;

/// Most elements in a metadata array (16 Mi). Vocabularies have up to about half a million.
pub const MAX_ARRAY_LEN: u64 = 16 << 20;

/// Most bytes of text in one array of strings (1 GiB), so that positions in it fit 32 bits.
pub const MAX_ARRAY_TEXT_BYTES: u64 = 1 << 30;

/// Most metadata entries in one file.
pub const MAX_METADATA: u64 = 65_536;

/// Most tensors in a model, all shards together.
pub const MAX_TENSORS: u64 = 65_536;

/// Most dimensions of a tensor.
pub const MAX_DIMS: usize = 4;

/// Alignment of tensor data, in bytes, where `general.alignment` is absent.
pub const DEFAULT_ALIGNMENT: u32 = 32;

/// Smallest alignment, in bytes, that is accepted.
pub const MIN_ALIGNMENT: u32 = 8;

/// Largest alignment, in bytes, that is accepted.
pub const MAX_ALIGNMENT: u32 = 65_536;

/// Most shards of a split model.
pub const MAX_SHARDS: u32 = 4_096;

/// Whether `alignment` is a power of two within [`MIN_ALIGNMENT`]..=[`MAX_ALIGNMENT`].
pub(crate) fn is_valid_alignment(alignment: u32) -> bool {
    alignment.is_power_of_two() && (MIN_ALIGNMENT..=MAX_ALIGNMENT).contains(&alignment)
}
