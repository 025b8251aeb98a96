//! Random weights made directly in their format.
//!
//! Every bit of a block is random, but for its scale, which is chosen so that the values have the wanted standard
//! deviation, and its offset, if it has one, which makes their mean zero.

use half::f16;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use silhak_quant::Format;
use silhak_quant::blocks::{self, Block, IQ4_LEVELS};

/// Fills `out`, whole blocks of `format`, with weights of mean 0 and standard deviation `std`.
pub(super) fn fill(format: Format, std: f32, random: &mut ChaCha8Rng, out: &mut [u8]) {
    random.fill_bytes(out);
    let scales = Scales::new(std / variance(format).sqrt());
    match format {
        Format::F32 => floats(out, |bits| (std * unit(u32::from_le_bytes(bits))).to_le_bytes()),
        Format::F16 => floats(out, |bits| f16::from_f32(std * unit_of_16(bits)).to_le_bytes()),
        // Cut off, not rounded: it is faster, and as random.
        Format::Bf16 => floats(out, |bits| (((std * unit_of_16(bits)).to_bits() >> 16) as u16).to_le_bytes()),
        Format::Q4_0 => each::<blocks::BlockQ4_0>(out, &scales),
        Format::Q4_1 => each::<blocks::BlockQ4_1>(out, &scales),
        Format::Q5_0 => each::<blocks::BlockQ5_0>(out, &scales),
        Format::Q5_1 => each::<blocks::BlockQ5_1>(out, &scales),
        Format::Q8_0 => each::<blocks::BlockQ8_0>(out, &scales),
        Format::Q2K => each::<blocks::BlockQ2K>(out, &scales),
        Format::Q3K => each::<blocks::BlockQ3K>(out, &scales),
        Format::Q4K => each::<blocks::BlockQ4K>(out, &scales),
        Format::Q5K => each::<blocks::BlockQ5K>(out, &scales),
        Format::Q6K => each::<blocks::BlockQ6K>(out, &scales),
        Format::Iq4Nl => each::<blocks::BlockIq4Nl>(out, &scales),
        Format::Iq4Xs => each::<blocks::BlockIq4Xs>(out, &scales),
    }
}

/// A uniform value of mean 0 and standard deviation 1, from 32 random bits.
pub(super) fn unit(bits: u32) -> f32 {
    const HALF_WIDTH: f32 = 1.732_050_8;
    // The sign bit makes the two halves, so that there is no bias.
    bits.cast_signed() as f32 * (HALF_WIDTH / (1u32 << 31) as f32)
}

fn unit_of_16(bits: [u8; 2]) -> f32 {
    unit(u32::from(u16::from_le_bytes(bits)) << 16)
}

fn floats<const N: usize>(out: &mut [u8], convert: impl Fn([u8; N]) -> [u8; N]) {
    for item in out.as_chunks_mut::<N>().0 {
        *item = convert(*item);
    }
}

/// The mean square of the values of a random block whose scale is 1.
fn variance(format: Format) -> f32 {
    // Of all numbers of `bits` bits: in two's complement, around their mean, and without a sign.
    let count = |bits: i32| 2f32.powi(bits);
    let signed = |bits| (count(bits).powi(2) + 2.0) / 12.0;
    let centred = |bits| (count(bits).powi(2) - 1.0) / 12.0;
    let unsigned = |bits| (count(bits) - 1.0) * (2.0 * count(bits) - 1.0) / 6.0;
    let levels = IQ4_LEVELS.iter().map(|&level| f32::from(level).powi(2)).sum::<f32>() / IQ4_LEVELS.len() as f32;
    match format {
        Format::F32 | Format::F16 | Format::Bf16 => 1.0,
        Format::Q4_0 => signed(4),
        Format::Q4_1 => centred(4),
        Format::Q5_0 => signed(5),
        Format::Q5_1 => centred(5),
        // One of its 256 quants gives way to 0.
        Format::Q8_0 => signed(8) - 128f32.powi(2) / 256.0,
        Format::Q2K => unsigned(4) * centred(2),
        Format::Q3K => signed(6) * signed(3),
        Format::Q4K => unsigned(6) * centred(4),
        Format::Q5K => unsigned(6) * centred(5),
        Format::Q6K => signed(8) * signed(6),
        Format::Iq4Nl => levels,
        Format::Iq4Xs => signed(6) * levels,
    }
}

/// Scales for blocks to draw from: of both signs, which takes the bias out of quants without one.
struct Scales([f16; 256]);

impl Scales {
    /// Scales whose root mean square is `rms`, the largest three times the smallest.
    fn new(rms: f32) -> Scales {
        // The magnitudes are the middles of 128 equal parts of 1/2 to 3/2; their mean square is 1 + 1/12, but for less
        // than a part in 10000.
        let middle = rms / (13f32 / 12.0).sqrt();
        Scales(std::array::from_fn(|i| {
            let magnitude = middle * (0.5 + ((i % 128) as f32 + 0.5) / 128.0);
            f16::from_f32(if i < 128 { magnitude } else { -magnitude })
        }))
    }

    /// The scale that the random bits in a scale's place draw.
    fn draw(&self, bits: f16) -> f16 {
        self.0[usize::from(bits.to_bits() & 0xFF)]
    }
}

/// A block of random bits that becomes one of weights.
trait Tame: Block {
    fn tame(&mut self, scales: &Scales);
}

fn each<B: Tame>(out: &mut [u8], scales: &Scales) {
    for bytes in out.chunks_exact_mut(size_of::<B>()) {
        let mut block: B = bytemuck::pod_read_unaligned(bytes);
        block.tame(scales);
        bytes.copy_from_slice(bytemuck::bytes_of(&block));
    }
}

/// Blocks whose quants have a sign of their own need a scale and nothing else.
macro_rules! tame_by_scale {
    ($($block:ident),+) => {$(
        impl Tame for blocks::$block {
            fn tame(&mut self, scales: &Scales) {
                self.d = scales.draw(self.d);
            }
        }
    )+};
}

tame_by_scale!(BlockQ4_0, BlockQ5_0, BlockQ3K, BlockQ6K, BlockIq4Nl, BlockIq4Xs);

impl Tame for blocks::BlockQ8_0 {
    fn tame(&mut self, scales: &Scales) {
        self.d = scales.draw(self.d);
        // No quantizer gives -128, and kernels may count on it.
        self.qs = self.qs.map(|q| if q == i8::MIN { 0 } else { q });
    }
}

impl Tame for blocks::BlockQ4_1 {
    fn tame(&mut self, scales: &Scales) {
        self.d = scales.draw(self.d);
        self.m = times(self.d, -mean(4));
    }
}

impl Tame for blocks::BlockQ5_1 {
    fn tame(&mut self, scales: &Scales) {
        self.d = scales.draw(self.d);
        self.m = times(self.d, -mean(5));
    }
}

impl Tame for blocks::BlockQ2K {
    fn tame(&mut self, scales: &Scales) {
        self.d = scales.draw(self.d);
        self.dmin = times(self.d, mean(2));
        self.scales = self.scales.map(|scale| (scale & 15) * 0x11);
    }
}

impl Tame for blocks::BlockQ4K {
    fn tame(&mut self, scales: &Scales) {
        self.d = scales.draw(self.d);
        self.dmin = times(self.d, mean(4));
        equal_scales_and_mins(&mut self.scales);
    }
}

impl Tame for blocks::BlockQ5K {
    fn tame(&mut self, scales: &Scales) {
        self.d = scales.draw(self.d);
        self.dmin = times(self.d, mean(5));
        equal_scales_and_mins(&mut self.scales);
    }
}

/// Makes each 6-bit minimum of Q4_K and Q5_K equal to its scale; `BlockQ4K::scale_min` has their places.
fn equal_scales_and_mins(packed: &mut [u8; 12]) {
    for j in 0..4 {
        packed[j + 4] = packed[j];
        packed[j + 8] = (packed[j + 8] & 15) * 0x11;
    }
}

/// The mean of all numbers of `bits` bits.
fn mean(bits: u32) -> f32 {
    ((1u32 << bits) - 1) as f32 / 2.0
}

fn times(scale: f16, factor: f32) -> f16 {
    f16::from_f32(scale.to_f32() * factor)
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;
    use silhak_quant::dequantize;

    use super::*;

    #[test]
    fn weights_have_mean_zero_and_the_standard_deviation_asked_for() {
        const N: usize = 1 << 20;
        for &format in Format::ALL {
            // Rows of 32 and of 27648 values.
            for std in [0.177, 0.006] {
                let mut bytes = vec![0; format.row_bytes(N).unwrap()];
                fill(format, std, &mut ChaCha8Rng::seed_from_u64(7), &mut bytes);
                let mut values = vec![0.0; N];
                dequantize(format, &bytes, &mut values).unwrap();
                let mean_of = |f: &dyn Fn(f64) -> f64| values.iter().map(|&x| f(f64::from(x))).sum::<f64>() / N as f64;
                let (mean, found) = (mean_of(&|x| x) / f64::from(std), mean_of(&|x| x * x).sqrt() / f64::from(std));
                assert!(
                    mean.abs() < 0.01 && (found - 1.0).abs() < 0.01,
                    "{format}: mean {mean}, deviation {found} of {std}"
                );
                let most = values.iter().fold(0f32, |most, x| most.max(x.abs()));
                assert!(most < 10.0 * std, "{format}: a weight of {most} at a deviation of {std}");
            }
        }
    }

    #[test]
    fn every_quant_occurs() {
        let mut bytes = vec![0; Format::Q8_0.row_bytes(1 << 16).unwrap()];
        fill(Format::Q8_0, 1.0, &mut ChaCha8Rng::seed_from_u64(1), &mut bytes);
        let mut counts = [0; 256];
        for block in bytes.chunks_exact(34) {
            block[2..].iter().for_each(|&q| counts[usize::from(q)] += 1);
        }
        assert_eq!(counts[0x80], 0);
        assert!(counts.iter().enumerate().all(|(q, &n)| q == 0x80 || n > 100), "{counts:?}");
    }
}
