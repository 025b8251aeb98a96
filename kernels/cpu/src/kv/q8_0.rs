//! Keys and values in 8 bits, with a scale for every 32 of a head.
//!
//! Quants and scales are pages of their own: those of the scales are like pages of heads that are 32 times smaller, so that
//! the scales of a group of keys stand side by side as the keys do. Both are multiplied before attention sees them, so that
//! its results are those of keys and values in float32 that were rounded before.

use half::f16;
use silhak_ops::{Error, Page};
use silhak_quant::quantize_kv;

use super::pages::PageBuffers;
use super::{GROUP, KvAccess, PageShape, Pages, Place};
use crate::simd::{LANES, Simd};

/// Values that share a scale.
const BLOCK: usize = 32;

/// The memory of a layer's pages.
#[derive(Debug)]
pub(super) struct Q8_0Buffers {
    quants: PageBuffers<i8>,
    scales: PageBuffers<f16>,
}

/// The pages of a layer, shared out to threads.
#[derive(Clone, Copy)]
pub(crate) struct Q8_0Pages<'a> {
    quants: Pages<'a, i8>,
    scales: Pages<'a, f16>,
}

impl Q8_0Buffers {
    /// Room for `n_pages` pages of heads of whole blocks.
    pub(super) fn zeroed(n_pages: usize, shape: PageShape) -> Result<Self, Error> {
        let scales = PageShape { len: shape.len / BLOCK, ..shape };
        Ok(Q8_0Buffers { quants: PageBuffers::zeroed(n_pages, shape)?, scales: PageBuffers::zeroed(n_pages, scales)? })
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.quants.bytes() + self.scales.bytes()
    }

    /// The pages, to be shared out to threads.
    pub(super) fn share(&self) -> Q8_0Pages<'_> {
        Q8_0Pages { quants: self.quants.share(), scales: self.scales.share() }
    }

    /// Copies a page over another; both must be there.
    pub(super) fn copy_page(&mut self, from: Page, to: Page) {
        self.quants.copy_page(from, to);
        self.scales.copy_page(from, to);
    }
}

impl KvAccess for Q8_0Pages<'_> {
    type Element = f32;

    const MOST_VALUES: usize = GROUP;

    fn shape(&self) -> PageShape {
        self.quants.shape()
    }

    unsafe fn write_head(&self, place: Place, key: &[f32], value: &[f32]) {
        let blocks = key.as_chunks::<BLOCK>().0.iter().zip(value.as_chunks::<BLOCK>().0);
        for (i, (key, value)) in blocks.enumerate() {
            let (key, value) = (quantize_kv(key), quantize_kv(value));
            // SAFETY: the caller's promise.
            unsafe {
                self.quants.write(place, i * BLOCK, key.qs.into_iter().zip(value.qs));
                self.scales.write(place, i, [(key.d, value.d)].into_iter());
            }
        }
    }

    #[inline(always)]
    unsafe fn read_keys<'b, S: Simd>(&'b self, s: S, place: Place, room: &'b mut [f32]) -> &'b [f32] {
        // SAFETY: the caller's promise.
        let (quants, scales) = unsafe { (self.quants.keys(place), self.scales.keys(place)) };
        let blocks = quants.chunks_exact(BLOCK * GROUP).zip(room.chunks_exact_mut(BLOCK * GROUP));
        for (scales, (quants, out)) in scales.as_chunks::<GROUP>().0.iter().zip(blocks) {
            let (scales, _) = scales.as_chunks::<LANES>();
            let scales = [s.load_f16(&scales[0]), s.load_f16(&scales[1])];
            let (quants, out) = (quants.as_chunks::<GROUP>().0, out.as_chunks_mut::<GROUP>().0);
            for (quants, out) in quants.iter().zip(out) {
                scale(s, quants, scales, out);
            }
        }
        &room[..quants.len()]
    }

    unsafe fn read_key(&self, place: Place) -> impl Iterator<Item = f32> {
        // SAFETY: the caller's promise.
        let (quants, scales) = unsafe { (self.quants.keys(place), self.scales.keys(place)) };
        let block = |(quants, &scale): (&'_ [i8; BLOCK], &f16)| quants.map(|q| scale.to_f32() * f32::from(q));
        quants.as_chunks::<BLOCK>().0.iter().zip(scales).flat_map(block)
    }

    #[inline(always)]
    unsafe fn read_values<'b, S: Simd>(&'b self, s: S, place: Place, n: usize, room: &'b mut [f32]) -> &'b [f32] {
        // SAFETY: the caller's promise.
        let (quants, scales) = unsafe { (self.quants.values(place, n), self.scales.values(place, n)) };
        // As many scales as a vector has are made floats at a time.
        let parts = quants.chunks(LANES * BLOCK).zip(room.chunks_mut(LANES * BLOCK));
        for (halves, (quants, out)) in scales.chunks(LANES).zip(parts) {
            let (mut padded, mut floats) = ([f16::ZERO; LANES], [0.0; LANES]);
            padded[..halves.len()].copy_from_slice(halves);
            s.store(s.load_f16(&padded), &mut floats);
            let blocks = quants.chunks_exact(BLOCK).zip(out.chunks_exact_mut(BLOCK));
            for (&factor, (quants, out)) in floats.iter().zip(blocks) {
                let (quants, out) = (quants.as_chunks::<GROUP>().0, out.as_chunks_mut::<GROUP>().0);
                for (quants, out) in quants.iter().zip(out) {
                    scale(s, quants, [s.splat(factor); 2], out);
                }
            }
        }
        &room[..quants.len()]
    }
}

/// `out = scales * quants`.
#[inline(always)]
fn scale<S: Simd>(s: S, quants: &[i8; GROUP], scales: [S::V; 2], out: &mut [f32; GROUP]) {
    let (quants, out) = (quants.as_chunks::<LANES>().0, out.as_chunks_mut::<LANES>().0);
    for (i, scale) in scales.into_iter().enumerate() {
        s.store(s.mul(scale, s.load_i8(&quants[i])), &mut out[i]);
    }
}

#[cfg(test)]
mod tests {
    use silhak_ops::cases::Random;
    use silhak_quant::blocks::BlockQ8_0;

    use super::*;
    use crate::Caps;
    use crate::simd::{self, Kernel};

    /// Reads the keys of the group at a place, and the values at `n` places from there.
    struct Read<'a>(Q8_0Pages<'a>, Place, usize);

    impl Kernel for Read<'_> {
        type Output = (Vec<f32>, Vec<f32>);

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> (Vec<f32>, Vec<f32>) {
            let Read(pages, place, n) = self;
            let mut room = vec![f32::NAN; pages.shape().len * GROUP];
            // SAFETY: nobody writes.
            unsafe {
                let keys = pages.read_keys(s, place, &mut room).to_vec();
                (keys, pages.read_values(s, place, n, &mut room).to_vec())
            }
        }
    }

    /// A head as it comes back.
    fn rounded(x: &[f32]) -> Vec<f32> {
        let block = |x: &[f32; BLOCK]| {
            let BlockQ8_0 { d, qs } = quantize_kv(x);
            qs.map(|q| d.to_f32() * f32::from(q))
        };
        x.as_chunks::<BLOCK>().0.iter().flat_map(block).collect()
    }

    #[test]
    fn every_instruction_set_reads_what_was_rounded() {
        let mut random = Random::new(3);
        for len in [32, 96, 288] {
            let shape = PageShape { page_len: 2 * GROUP, n_kv_heads: 2, len };
            let buffers = Q8_0Buffers::zeroed(2, shape).unwrap();
            let pages = buffers.share();
            let heads: Vec<[Vec<f32>; 2]> =
                (0..GROUP).map(|_| [(); 2].map(|()| (0..len).map(|_| random.normal()).collect())).collect();
            for (slot, [key, value]) in heads.iter().enumerate() {
                // SAFETY: nobody else has the pages.
                unsafe { pages.write_head(Place { page: 1, head: 1, slot: GROUP + slot }, key, value) }
            }
            let place = Place { page: 1, head: 1, slot: GROUP };
            for caps in crate::Isa::ALL.iter().filter_map(|&isa| Caps::with_isa(isa)) {
                let (keys, values) = simd::run(&caps, Read(pages, place, GROUP));
                for (slot, [key, value]) in heads.iter().enumerate() {
                    let found: Vec<f32> = keys.chunks(GROUP).map(|keys| keys[slot]).collect();
                    assert_eq!(found, rounded(key), "{caps:?} {len}");
                    assert_eq!(values[slot * len..][..len], rounded(value), "{caps:?} {len}");
                }
            }
        }
    }
}
