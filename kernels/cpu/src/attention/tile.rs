//! The inner product of attention: a few rows of queries or weights times a panel of keys or values.

use crate::kv::{Element, GROUP};
use crate::simd::{LANES, Simd};

/// `c[m][0..16] = a[m][0..k] @ b[0..k][0..16]`, added to what `c` holds if `add` says so, for `n_rows` rows.
///
/// Rows of `a`, `b` and `c` stand `lda`, `ldb` and `ldc` items apart.
#[derive(Clone, Copy)]
pub(super) struct Product<'a, E> {
    pub(super) n_rows: usize,
    pub(super) k: usize,
    pub(super) a: &'a [f32],
    pub(super) lda: usize,
    pub(super) b: &'a [E],
    pub(super) ldb: usize,
    pub(super) ldc: usize,
    pub(super) add: bool,
}

impl<E: Element> Product<'_, E> {
    /// Computes the product, six rows at a time: twelve sums, two vectors of `b` and one of `a` fill the registers.
    #[inline(always)]
    pub(super) fn run<S: Simd>(self, s: S, c: &mut [f32]) {
        const MOST: usize = 6;
        let mut row = 0;
        while row < self.n_rows {
            let rows = Product { a: &self.a[row * self.lda..], ..self };
            let c = &mut c[row * self.ldc..];
            match self.n_rows - row {
                1 => rows.some::<S, 1>(s, c),
                2 => rows.some::<S, 2>(s, c),
                3 => rows.some::<S, 3>(s, c),
                4 => rows.some::<S, 4>(s, c),
                5 => rows.some::<S, 5>(s, c),
                _ => rows.some::<S, MOST>(s, c),
            }
            row += MOST;
        }
    }

    /// Computes `M` rows.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "over the constant `M`, loops unroll into registers")]
    fn some<S: Simd, const M: usize>(self, s: S, c: &mut [f32]) {
        let Product { k, a, lda, b, ldb, ldc, add, .. } = self;
        if k == 0 {
            (0..M).filter(|_| !add).for_each(|m| c[m * ldc..][..GROUP].fill(0.0));
            return;
        }
        assert!(a.len() >= (M - 1) * lda + k && b.len() >= (k - 1) * ldb + GROUP);
        let mut sums = [[s.splat(0.0); 2]; M];
        if add {
            for m in 0..M {
                let (vectors, _) = c[m * ldc..][..GROUP].as_chunks::<LANES>();
                sums[m] = [s.load(&vectors[0]), s.load(&vectors[1])];
            }
        }
        for i in 0..k {
            // SAFETY: `i < k`, and the assertion above makes room for the 16 items at `(k - 1) * ldb`.
            let b = unsafe { b.get_unchecked(i * ldb..i * ldb + GROUP) };
            let (vectors, _) = b.as_chunks::<LANES>();
            let b = [E::load(s, &vectors[0]), E::load(s, &vectors[1])];
            for m in 0..M {
                // SAFETY: `m < M` and `i < k`, and the assertion above makes room for the item at `(M - 1) * lda + k - 1`.
                let a = s.splat(unsafe { *a.get_unchecked(m * lda + i) });
                sums[m] = [s.mul_add(a, b[0], sums[m][0]), s.mul_add(a, b[1], sums[m][1])];
            }
        }
        for m in 0..M {
            let (vectors, _) = c[m * ldc..][..GROUP].as_chunks_mut::<LANES>();
            s.store(sums[m][0], &mut vectors[0]);
            s.store(sums[m][1], &mut vectors[1]);
        }
    }
}
