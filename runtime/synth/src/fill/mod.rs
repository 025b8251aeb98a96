//! The values of tensors, a chunk at a time.

mod blocks;

use std::io;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use silhak_quant::quantize;

use crate::Tensor;

/// A part of a tensor that is filled at once: whole blocks, whatever the rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<'a> {
    tensor: &'a Tensor,
    /// Its place among the tensor's chunks.
    index: usize,
    /// Its first value's place in the tensor.
    first: usize,
    n_values: usize,
}

/// Values of a chunk: few enough to stay in the cache until they are written, and a multiple of every block.
const CHUNK_VALUES: usize = 1 << 18;

impl Tensor {
    /// The chunks that make up the tensor, in order.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> {
        let n_values = self.rows * self.cols;
        (0..n_values.div_ceil(CHUNK_VALUES)).map(move |index| {
            let first = index * CHUNK_VALUES;
            Chunk { tensor: self, index, first, n_values: CHUNK_VALUES.min(n_values - first) }
        })
    }
}

impl Chunk<'_> {
    /// The chunk's bytes.
    ///
    /// Norms lie around 1, RoPE's factors grow from 1 to 8 as those of Llama 3 do, and skip connections blend as those of
    /// Solar Pro do. All others have the standard
    /// deviation `1 / sqrt(cols)`: what was of unit size before a matrix is so behind it, however many layers there are.
    pub(crate) fn fill(&self, seed: u64) -> io::Result<Vec<u8>> {
        let Tensor { name, format, cols, .. } = self.tensor;
        let mut random = self.random(seed);
        let n_bytes = format.row_bytes(self.n_values).ok_or_else(|| {
            io::Error::other(format!("tensor '{name}': {} values are not whole blocks of {format}", self.n_values))
        })?;
        let mut bytes = vec![0; n_bytes];
        let values = if name.ends_with("norm.weight") {
            (0..self.n_values).map(|_| 1.0 + 0.1 * blocks::unit(random.next_u32())).collect()
        } else if name == "rope_freqs.weight" {
            let last = cols.saturating_sub(1).max(1) as f32;
            (0..self.n_values).map(|i| 1.0 + 7.0 * (self.first + i) as f32 / last).collect::<Vec<f32>>()
        } else if name == "bskcn_tv.weight" {
            vec![0.8, 0.2]
        } else {
            blocks::fill(*format, 1.0 / (*cols as f32).sqrt(), &mut random, &mut bytes);
            return Ok(bytes);
        };
        quantize(*format, &values, &mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    }

    /// Random numbers of this chunk's own, so that it does not matter who fills which first.
    fn random(&self, seed: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&fnv1a(self.tensor.name.as_bytes()).to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(key);
        random.set_stream(self.index as u64);
        random
    }
}

/// The hash of Fowler, Noll and Vo: unlike those of hash tables, the same in every version of everything.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
