//! Keys and values as floats.

use half::f16;

use super::{KvAccess, PageShape, Pages, Place};
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

impl<E: Element> KvAccess for Pages<'_, E> {
    type Element = E;

    const MOST_VALUES: usize = usize::MAX;

    fn shape(&self) -> PageShape {
        self.shape()
    }

    unsafe fn write_head(&self, place: Place, key: &[f32], value: &[f32]) {
        let items = key.iter().zip(value).map(|(&key, &value)| (E::from_f32(key), E::from_f32(value)));
        // SAFETY: the caller's promise.
        unsafe { self.write(place, 0, items) }
    }

    #[inline(always)]
    unsafe fn read_keys<'b, S: Simd>(&'b self, _: S, place: Place, _: &'b mut [f32]) -> &'b [E] {
        // SAFETY: the caller's promise.
        unsafe { self.keys(place) }
    }

    unsafe fn read_key(&self, place: Place) -> impl Iterator<Item = f32> {
        // SAFETY: the caller's promise.
        unsafe { self.keys(place) }.iter().map(|x| x.to_f32())
    }

    #[inline(always)]
    unsafe fn read_values<'b, S: Simd>(&'b self, _: S, place: Place, n: usize, _: &'b mut [f32]) -> &'b [E] {
        // SAFETY: the caller's promise.
        unsafe { self.values(place, n) }
    }
}
