//! Keys and values as floats.

use half::f16;
use silhak_ops::{Error, PageTable};

use super::{Pages, page};
use crate::simd::{LANES, Simd};

/// How a key or a value is stored.
pub(crate) trait Element: bytemuck::Pod + Send + Sync {
    /// Rounds to the nearest.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn to_f32(self) -> f32;
    /// Eight of them as float32.
    fn load<S: Simd>(s: S, x: &[Self; LANES]) -> S::V;
}

impl Element for f32 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[f32; LANES]) -> S::V {
        s.load(x)
    }
}

impl Element for f16 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        f16::from_f32(x)
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[f16; LANES]) -> S::V {
        s.load_f16(x)
    }
}

impl<E: Element> Pages<'_, E> {
    /// Stores one token's keys and values, `[n_kv_heads, len]`, rounded to the nearest.
    ///
    /// # Safety
    /// Nobody else reads or writes the place of `position` meanwhile.
    pub(super) unsafe fn write_floats(
        &self,
        table: &PageTable,
        position: usize,
        k: &[f32],
        v: &[f32],
    ) -> Result<(), Error> {
        let (page, slot) = (page(table, position / self.page_len())?, position % self.page_len());
        for (head, (k, v)) in k.chunks_exact(self.len()).zip(v.chunks_exact(self.len())).enumerate() {
            let (k, v) = (k.iter().map(|&x| E::from_f32(x)), v.iter().map(|&x| E::from_f32(x)));
            // SAFETY: the caller's promise.
            unsafe { self.write(page, head, slot, k, v) }
        }
        Ok(())
    }
}
