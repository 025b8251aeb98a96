//! Where a matmul kernel writes.

use std::marker::PhantomData;
use std::slice;

/// `[n_tokens, n_rows]` values within a larger row-major matrix: the part of the result that one call computes.
///
/// Threads that share a matrix write different columns of the same rows, which slices cannot express.
#[derive(Debug)]
pub struct Output<'a> {
    start: *mut f32,
    stride: usize,
    n_tokens: usize,
    n_rows: usize,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: an `Output` is an exclusive borrow of the values it covers, like `&mut [f32]`.
unsafe impl Send for Output<'_> {}

impl<'a> Output<'a> {
    /// A whole matrix with rows of `n_rows` values; what is left over behind the last whole row is not touched.
    pub fn new(values: &'a mut [f32], n_rows: usize) -> Self {
        let n_tokens = values.len().checked_div(n_rows).unwrap_or(0);
        Output { start: values.as_mut_ptr(), stride: n_rows, n_tokens, n_rows, values: PhantomData }
    }

    /// Part of a matrix: token `t`'s values stand at `start + t * stride ..`, `n_rows` of them.
    ///
    /// # Safety
    /// For `'a`, each of these values must be in one allocation, and nobody else may read or write it.
    pub unsafe fn from_raw(start: *mut f32, stride: usize, n_tokens: usize, n_rows: usize) -> Self {
        Output { start, stride, n_tokens, n_rows, values: PhantomData }
    }

    /// Tokens of the batch that the call computes.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Weight rows that the call computes: values per token.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The `n_rows` values of token `t`.
    ///
    /// # Panics
    /// If `t` is not below [`Output::n_tokens`].
    pub fn token(&mut self, t: usize) -> &mut [f32] {
        assert!(t < self.n_tokens, "token {t} of {}", self.n_tokens);
        // SAFETY: the constructors promise `n_rows` exclusive values for each token; `t` is one of them.
        unsafe { slice::from_raw_parts_mut(self.start.add(t * self.stride), self.n_rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_touches_its_own_columns_only() {
        let mut matrix = [0.0f32; 12];
        // SAFETY: columns 1 and 2 of a 3 x 4 matrix, borrowed for the next lines alone.
        let mut part = unsafe { Output::from_raw(matrix.as_mut_ptr().add(1), 4, 3, 2) };
        (0..3).for_each(|t| part.token(t).fill(1.0 + t as f32));
        assert_eq!(matrix, [0.0, 1.0, 1.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 3.0, 3.0, 0.0]);
    }
}
