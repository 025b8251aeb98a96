//! An entry of the tensor table.

use std::fmt;

use bytes::Bytes;

use crate::TensorType;
use crate::limits::MAX_DIMS;

/// A tensor of a model: its name, type, shape and bytes, all checked against the file.
///
/// Dimensions are in ggml's order: `dims()[0]` is the length of a row, whose elements lie side by side.
#[derive(Clone)]
pub struct TensorInfo {
    pub(crate) name: Box<str>,
    pub(crate) ty: TensorType,
    pub(crate) n_dims: u32,
    /// Dimensions not in use are 1.
    pub(crate) dims: [u64; MAX_DIMS],
    pub(crate) shard: u32,
    /// Of the data, from the beginning of the shard.
    pub(crate) offset: u64,
    pub(crate) data: Bytes,
}

impl TensorInfo {
    /// The name, such as `"blk.0.attn_q.weight"`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The element type.
    pub fn ty(&self) -> TensorType {
        self.ty
    }

    /// The dimensions that the file states, 1 to 4, row length first. None is zero.
    pub fn dims(&self) -> &[u64] {
        &self.dims[..self.n_dims()]
    }

    /// The dimensions filled up to four with ones.
    pub fn dims4(&self) -> [u64; MAX_DIMS] {
        self.dims
    }

    /// Number of dimensions that the file states, 1 to 4.
    pub fn n_dims(&self) -> usize {
        self.n_dims as usize
    }

    /// Elements in a row: `dims()[0]`, a whole number of the type's blocks.
    pub fn row_len(&self) -> usize {
        // The parser refuses tensors whose element count does not fit `usize`.
        self.dims[0] as usize
    }

    /// Number of rows: the product of all dimensions but the first.
    pub fn n_rows(&self) -> usize {
        self.dims[1..].iter().map(|&dim| dim as usize).product()
    }

    /// Number of elements.
    pub fn n_elements(&self) -> usize {
        self.row_len() * self.n_rows()
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.n_bytes() / self.n_rows()
    }

    /// Bytes of the data.
    pub fn n_bytes(&self) -> usize {
        self.data.len()
    }

    /// Which shard the data is in, from 0.
    pub fn shard(&self) -> u32 {
        self.shard
    }

    /// Where the data begins, in bytes from the beginning of its shard.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl fmt::Debug for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TensorInfo")
            .field("name", &self.name)
            .field("ty", &self.ty)
            .field("dims", &self.dims())
            .field("shard", &self.shard)
            .field("offset", &self.offset)
            .field("n_bytes", &self.n_bytes())
            .finish()
    }
}
