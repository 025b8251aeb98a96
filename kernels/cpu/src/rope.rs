//! Rotary position embedding (Su et al. 2021).

use silhak_ops::{Pairing, RopeTable};

use crate::Caps;
use crate::simd::{self, Kernel, Simd};

/// Writes the cosines, then the sines, of all pairs at `position`: `out` is `[2, n_rot / 2]`.
pub(crate) fn turns(table: &RopeTable, position: u32, out: &mut [f32]) {
    let (cos, sin) = out.split_at_mut(out.len() / 2);
    for ((c, s), (cos, sin)) in table.at(position).zip(cos.iter_mut().zip(sin)) {
        (*cos, *sin) = (c, s);
    }
}

/// Rotates the first `turns.len()` values of each head of a token; the rest of a head is copied.
///
/// `turns` come from [`turns`]; `x` and `out` are `[n_heads, head_dim]`.
pub(crate) fn rope(caps: &Caps, x: &[f32], head_dim: usize, pairing: Pairing, turns: &[f32], out: &mut [f32]) {
    out.copy_from_slice(x);
    let (cos, sin) = turns.split_at(turns.len() / 2);
    for head in out.chunks_exact_mut(head_dim) {
        let rotated = &mut head[..turns.len()];
        match pairing {
            Pairing::Halves => {
                let (first, second) = rotated.split_at_mut(cos.len());
                simd::run(caps, Halves { first, second, cos, sin });
            }
            Pairing::Adjacent => simd::run(caps, Adjacent { pairs: rotated.as_chunks_mut::<2>().0, cos, sin }),
        }
    }
}

struct Halves<'a> {
    first: &'a mut [f32],
    second: &'a mut [f32],
    cos: &'a [f32],
    sin: &'a [f32],
}

impl Kernel for Halves<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Halves { first, second, cos, sin } = self;
        let n = first.len().min(second.len()).min(cos.len()).min(sin.len());
        // Equal lengths known in front let compilers turn the loop into vectors.
        let (first, second, cos, sin) = (&mut first[..n], &mut second[..n], &cos[..n], &sin[..n]);
        for i in 0..n {
            (first[i], second[i]) = rotate(first[i], second[i], cos[i], sin[i]);
        }
    }
}

struct Adjacent<'a> {
    pairs: &'a mut [[f32; 2]],
    cos: &'a [f32],
    sin: &'a [f32],
}

impl Kernel for Adjacent<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for ((pair, &cos), &sin) in self.pairs.iter_mut().zip(self.cos).zip(self.sin) {
            *pair = rotate(pair[0], pair[1], cos, sin).into();
        }
    }
}

#[inline(always)]
fn rotate(a: f32, b: f32, cos: f32, sin: f32) -> (f32, f32) {
    (a * cos - b * sin, a * sin + b * cos)
}
