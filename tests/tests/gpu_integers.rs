//! The integer sums of the packed-byte shaders are exact.
//!
//! Weights whose float scales are 1 and activations that 8 bits hold exactly have whole numbers as results. As long as
//! these stay below 2^24, float32 holds them exactly too, so a shader gives the very number or it is wrong. Cooperative
//! matrices give it too, of weights that half floats hold exactly.

use std::sync::Arc;

use bytes::Bytes;
use silhak_gpu::{Feature, Gpu, GpuOptions};
use silhak_ops::cases::Random;
use silhak_ops::{Backend, Batch, ExecConfig, KvConfig, KvElement, PlanBuilder, Weight};
use silhak_quant::{Format, dequantize};
use silhak_tests::gpu::open_or_skip;

const N_ROWS: usize = 37;

/// Half floats hold all whole numbers up to here.
const MOST_HALF: f32 = 2048.0;

#[test]
fn integer_sums_are_exact() {
    for (without, checked_shaders) in [(vec![], false), (vec![], true), (vec![Feature::CooperativeMatrix], false)] {
        let Some(gpu) = open_or_skip(&GpuOptions { without, checked_shaders, ..GpuOptions::default() }) else { return };
        let mut random = Random::new(9);
        for &format in Format::ALL.iter().filter(|format| format.block_len() > 1) {
            let cols = if format.block_len() == 32 { 160 } else { 512 };
            let weights = weights_with_scales_of_one(format, N_ROWS * cols, &mut random);
            let values = values(format, &weights);
            let is_exact =
                gpu.caps().cooperative_matrix.is_none() || values.iter().all(|value| value.abs() <= MOST_HALF);
            for n in [1, 3, 20] {
                if n > 8 && !is_exact {
                    continue;
                }
                let x = exact_activations(n * cols, &mut random);
                let found = multiply(&gpu, format, cols, &weights, &x, n);
                assert_eq!(found, exact_product(format, cols, &values, &x), "{format} with {n} columns");
            }
        }
    }
}

/// Where the half floats stand in a block.
fn scale_offsets(format: Format) -> &'static [usize] {
    match format {
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
        _ => &[0],
    }
}

fn weights_with_scales_of_one(format: Format, n_values: usize, random: &mut Random) -> Vec<u8> {
    const ONE: [u8; 2] = 0x3c00u16.to_le_bytes();
    let mut bytes: Vec<u8> = (0..format.row_bytes(n_values).unwrap()).map(|_| random.bits() as u8).collect();
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        scale_offsets(format).iter().for_each(|&at| block[at..at + 2].copy_from_slice(&ONE));
    }
    bytes
}

/// Whole numbers, with a 127 in each block of 32: their scale is 1.
fn exact_activations(n: usize, random: &mut Random) -> Vec<f32> {
    let mut x: Vec<f32> = (0..n).map(|_| random.below(7) as f32 - 3.0).collect();
    for block in x.chunks_exact_mut(32) {
        block[random.below(32)] = if random.below(2) == 0 { 127.0 } else { -127.0 };
    }
    x
}

fn multiply(gpu: &Gpu, format: Format, cols: usize, weights: &[u8], x: &[f32], n: usize) -> Vec<f32> {
    let p = PlanBuilder::new();
    let weight = p.weight(Weight { name: "weight".into(), format, rows: N_ROWS, cols });
    p.output(p.linear(p.input(cols), weight));
    let kv = KvConfig { page_len: 1, n_pages: Vec::new(), element: KvElement::F32 };
    let config = ExecConfig { kv, max_tokens: n, max_outputs: n };
    let plan = Arc::new(p.finish().unwrap());
    let mut executor = gpu.prepare(&plan, &[Bytes::copy_from_slice(weights)], &config).unwrap();
    let mut batch = Batch::new();
    let sequence = batch.add_sequence(Vec::new());
    (0..n as u32).for_each(|i| batch.add_token(sequence, 0, i, false));
    let mut outputs = [vec![f32::NAN; n * N_ROWS]];
    executor.run(&batch, &[x], &mut outputs).unwrap();
    let [y] = outputs;
    y
}

fn values(format: Format, weights: &[u8]) -> Vec<f32> {
    let mut values = vec![0.0; weights.len() / format.block_bytes() * format.block_len()];
    dequantize(format, weights, &mut values).unwrap();
    values
}

fn exact_product(format: Format, cols: usize, values: &[f32], x: &[f32]) -> Vec<f32> {
    let dot = |w: &[f32], x: &[f32]| -> i64 { w.iter().zip(x).map(|(&w, &x)| w as i64 * x as i64).sum() };
    let row = |x: &[f32]| values.chunks_exact(cols).map(|w| dot(w, x)).collect::<Vec<_>>();
    let sums = x.chunks_exact(cols).flat_map(row);
    sums.inspect(|sum| assert!(sum.abs() < 1 << 24, "{format}: {sum} is no float32")).map(|sum| sum as f32).collect()
}
