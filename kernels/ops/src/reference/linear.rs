//! Matrix times activations, in float32 on dequantized weights.

use std::num::NonZero;
use std::thread;

use silhak_quant::activations::{dequantize_a8, quantize_a8};
use silhak_quant::dequantize;

use crate::{ActivationFormat, Error, Weight};

/// `x` is `[n, cols]`, the result `[n, rows]`.
pub(super) fn linear(
    x: &[f32],
    weight: &Weight,
    data: &[u8],
    bias: Option<&[f32]>,
    quantize_activations: bool,
) -> Result<Vec<f32>, Error> {
    let rounded;
    let x = if quantize_activations {
        rounded = round_to_8_bits(x, ActivationFormat::of(weight.format))?;
        &rounded
    } else {
        x
    };
    let n = x.len() / weight.cols;
    let columns = each_row(weight, data, n, |row, out| {
        out.iter_mut().zip(x.chunks_exact(weight.cols)).for_each(|(y, x)| *y = dot(row, x));
    })?;
    let mut out = vec![0.0; n * weight.rows];
    for (r, column) in columns.chunks_exact(n.max(1)).enumerate() {
        let bias = bias.map_or(0.0, |b| b[r]);
        column.iter().enumerate().for_each(|(t, y)| out[t * weight.rows + r] = y + bias);
    }
    Ok(out)
}

/// Calls `f(dequantized row, n results)` for each row of the weight; returns the results `[rows, n]`.
fn each_row(weight: &Weight, data: &[u8], n: usize, f: impl Fn(&[f32], &mut [f32]) + Sync) -> Result<Vec<f32>, Error> {
    let row_bytes = weight.row_bytes()?;
    let mut out = vec![0.0; weight.rows * n];
    if out.is_empty() {
        return Ok(out);
    }
    let is_small = out.len().saturating_mul(weight.cols) < WORTH_THREADS;
    let n_threads = if is_small { 1 } else { thread::available_parallelism().map_or(1, NonZero::get) };
    let share = weight.rows.div_ceil(n_threads);
    let run = |(out, data): (&mut [f32], &[u8])| {
        let mut row = vec![0.0; weight.cols];
        for (out, bytes) in out.chunks_exact_mut(n).zip(data.chunks_exact(row_bytes)) {
            dequantize(weight.format, bytes, &mut row)?;
            f(&row, out);
        }
        Ok::<_, Error>(())
    };
    if n_threads == 1 {
        run((&mut out, data))?;
        return Ok(out);
    }
    let run = &run;
    thread::scope(|scope| {
        let parts = out.chunks_mut(share * n).zip(data.chunks(share * row_bytes));
        let workers: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
        workers.into_iter().try_for_each(|w| w.join().expect("a worker only dequantizes and multiplies"))
    })?;
    Ok(out)
}

/// Multiplications from which starting threads takes less time than they save.
const WORTH_THREADS: usize = 1 << 20;

/// A sum in 16 lanes, which is both closer to the exact one than a running sum and what a compiler can vectorize.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.iter().sum::<f32>() + a_tail.iter().zip(b_tail).map(|(a, b)| a * b).sum::<f32>()
}

/// What is left of activations that went through 8 bits.
fn round_to_8_bits(x: &[f32], format: ActivationFormat) -> Result<Vec<f32>, Error> {
    let mut rounded = vec![0.0; x.len()];
    match format {
        ActivationFormat::F32 => rounded.copy_from_slice(x),
        ActivationFormat::A8 => {
            let mut blocks = vec![bytemuck::Zeroable::zeroed(); x.len() / 32];
            quantize_a8(x, &mut blocks)?;
            dequantize_a8(&blocks, &mut rounded)?;
        }
    }
    Ok(rounded)
}
