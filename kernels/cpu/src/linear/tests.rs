//! Every kernel that this machine can run, against sums in double precision of dequantized weights.

use silhak_ops::cases::Random;
use silhak_quant::activations::{BlockA8, dequantize_a8, quantize_a8};
use silhak_quant::dequantize;

use super::integers::Integers;
use super::*;

/// Where the half floats of a block stand.
fn scale_offsets(format: Format) -> &'static [usize] {
    match format {
        Format::F32 | Format::F16 | Format::Bf16 => &[],
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 | Format::Iq4Nl | Format::Iq4Xs => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
    }
}

/// Rows whose quants and integer scales are random bits, and whose floats come from `scale`.
fn rows_with(format: Format, n: usize, random: &mut Random, scale: &mut dyn FnMut(&mut Random) -> f16) -> Vec<u8> {
    let n_blocks = n / format.block_len();
    let mut bytes = Vec::with_capacity(n_blocks * format.block_bytes());
    for _ in 0..n_blocks {
        let start = bytes.len();
        match format {
            Format::F32 => bytes.extend(scale(random).to_f32().to_le_bytes()),
            Format::F16 => bytes.extend(scale(random).to_le_bytes()),
            Format::Bf16 => bytes.extend(bf16::from_f32(scale(random).to_f32()).to_le_bytes()),
            _ => bytes.extend((0..format.block_bytes()).map(|_| random.bits() as u8)),
        }
        for &at in scale_offsets(format) {
            bytes[start + at..start + at + 2].copy_from_slice(&scale(random).to_le_bytes());
        }
    }
    bytes
}

fn random_rows(format: Format, n: usize, random: &mut Random) -> Vec<u8> {
    rows_with(format, n, random, &mut |random| f16::from_f32(random.normal() * 0.03))
}

/// What is left of activations after 8 bits, by the scalar rule.
fn rounded(format: ActivationFormat, x: &[f32]) -> Vec<f32> {
    let mut out = x.to_vec();
    match format {
        ActivationFormat::F32 => {}
        ActivationFormat::A8 => {
            let mut blocks = vec![BlockA8 { d: 0.0, sum: 0, qs: [0; 32] }; x.len() / 32];
            quantize_a8(x, &mut blocks).unwrap();
            dequantize_a8(&blocks, &mut out).unwrap();
        }
    }
    out
}

/// A row times a token in double precision, and the sum of the magnitudes of all that was added: an offset counts by
/// itself, for it can cancel a quant.
fn expected(format: Format, row: &[u8], x: &[f32]) -> (f64, f64) {
    let mut weights = vec![0.0; x.len()];
    dequantize(format, row, &mut weights).unwrap();
    let sum = weights.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
    let offset = offsets(format, row);
    let group = if format.block_len() == 256 { 16 } else { 32 };
    let magnitude = |(i, (&w, &x)): (usize, (&f32, &f32))| {
        let offset = offset.get(i / group).copied().unwrap_or(0.0);
        ((f64::from(w) - offset).abs() + offset.abs()) * f64::from(x).abs()
    };
    (sum, weights.iter().zip(x).enumerate().map(magnitude).sum())
}

/// The constant in each group of values that share one, if the format has any.
fn offsets(format: Format, row: &[u8]) -> Vec<f64> {
    fn of<B: Integers>(row: &[u8]) -> Vec<f64> {
        let mut minima = [0; 16];
        let block = |bytes: &[u8]| {
            let block: B = bytemuck::pod_read_unaligned(bytes);
            block.minima(&mut minima);
            let n = if B::LEN == 256 { 16 } else { 1 };
            minima[..n].iter().map(|&m| f64::from(block.offset()) * f64::from(m)).collect::<Vec<_>>()
        };
        row.chunks_exact(size_of::<B>()).flat_map(block).collect()
    }
    match format {
        Format::Q4_1 => of::<blocks::BlockQ4_1>(row),
        Format::Q5_1 => of::<blocks::BlockQ5_1>(row),
        Format::Q2K => of::<blocks::BlockQ2K>(row),
        Format::Q4K => of::<blocks::BlockQ4K>(row),
        Format::Q5K => of::<blocks::BlockQ5K>(row),
        _ => Vec::new(),
    }
}

fn activations(kernel: &LinearKernel, x: &[f32], cols: usize) -> Activations {
    let mut acts = Activations::new(&Caps::detect());
    acts.reset(kernel.layout(), x.len() / cols, cols).unwrap();
    acts.fill(x);
    acts
}

/// All rows times all tokens in one call, on poisoned memory.
fn run(kernel: &LinearKernel, rows: &[u8], n_rows: usize, x: &[f32], cols: usize) -> Vec<f32> {
    let weights = kernel.stored(rows, cols);
    let acts = activations(kernel, x, cols);
    let n_tokens = x.len() / cols;
    let mut out = vec![f32::NAN; n_tokens * n_rows];
    kernel.run(&weights, cols, &acts, 0..n_tokens, &mut Output::new(&mut out, n_rows));
    out
}

fn every_kernel() -> impl Iterator<Item = LinearKernel> {
    let caps = Caps::detect();
    Format::ALL.iter().flat_map(move |&format| LinearKernel::all(format, &caps))
}

/// Blocks of the format in a row; float formats get rows that no vector length divides.
fn cols_of(format: Format, n_blocks: usize) -> usize {
    if format.block_len() == 1 { 37 * n_blocks } else { n_blocks * format.block_len() }
}

#[test]
fn kernels_agree_with_sums_of_dequantized_weights() {
    let shapes = [(1, 1), (3, 2), (4, 3), (5, 4), (7, 5), (16, 8), (17, 9), (37, 3)];
    for kernel in every_kernel() {
        let format = kernel.variant().format;
        for (i, &(n_rows, n_blocks)) in shapes.iter().enumerate() {
            let n_tokens = [1, 2, 3, 4, 5, 8, 13, 17][i];
            let cols = cols_of(format, n_blocks);
            let mut random = Random::new(i as u64);
            let rows = random_rows(format, n_rows * cols, &mut random);
            let x = random.activations(n_tokens * cols);
            let out = run(&kernel, &rows, n_rows, &x, cols);
            let row_bytes = format.row_bytes(cols).unwrap();
            for (t, x) in x.chunks(cols).enumerate() {
                let x = rounded(kernel.layout().format(), x);
                for (r, row) in rows.chunks(row_bytes).enumerate() {
                    let (sum, magnitude) = expected(format, row, &x);
                    let (found, limit) = (f64::from(out[t * n_rows + r]), 4.0 * f64::from(f32::EPSILON) * magnitude);
                    assert!(
                        (found - sum).abs() <= limit,
                        "{kernel:?} {n_rows}x{cols} row {r} token {t} of {n_tokens}: {found} for {sum}, limit {limit}"
                    );
                }
            }
        }
    }
}

#[test]
fn sums_of_extreme_integers_are_exact() {
    // With scales of 1 and one block, the result is the integer sum, converted to float32 once.
    for kernel in every_kernel().filter(|k| k.layout().format() != ActivationFormat::F32) {
        let format = kernel.variant().format;
        let len = format.block_len();
        for (fill, sign) in [(0x00, 1), (0xff, 1), (0xff, -1), (0x77, 0), (0x80, 0), (0x7f, 1), (0x80, 1), (0x3f, 0)] {
            let mut random = Random::new(fill);
            let n_rows = 5;
            let mut rows = vec![fill as u8; n_rows * format.block_bytes()];
            for (r, row) in rows.chunks_mut(format.block_bytes()).enumerate() {
                if r % 2 == 1 {
                    row.iter_mut().for_each(|b| *b = if random.below(2) == 0 { 0 } else { 0xff });
                }
                scale_offsets(format).iter().for_each(|&at| row[at..at + 2].copy_from_slice(&f16::ONE.to_le_bytes()));
            }
            let x: Vec<f32> = (0..9 * len)
                .map(|_| if sign != 0 { 127.0 * sign as f32 } else { [-127.0, 127.0][random.below(2)] })
                .collect();
            let out = run(&kernel, &rows, n_rows, &x, len);
            for (t, x) in x.chunks(len).enumerate() {
                for (r, row) in rows.chunks(format.block_bytes()).enumerate() {
                    let exact = integer_sum(format, row, x);
                    let found = out[t * n_rows + r];
                    assert_eq!(found, exact as f32, "{kernel:?} fill {fill:#x} sign {sign} row {r} token {t}");
                }
            }
        }
    }
}

/// A block with scales of one times whole-numbered activations.
fn integer_sum(format: Format, block: &[u8], x: &[f32]) -> i64 {
    let mut weights = vec![0.0; x.len()];
    dequantize(format, block, &mut weights).unwrap();
    weights.iter().zip(x).map(|(&w, &x)| w as i64 * x as i64).sum()
}

#[test]
fn results_do_not_depend_on_the_partition_or_the_address() {
    for kernel in every_kernel() {
        let format = kernel.variant().format;
        let (n_rows, cols, n_tokens) = (53, cols_of(format, 6), 11);
        let mut random = Random::new(9);
        let rows = random_rows(format, n_rows * cols, &mut random);
        let x = random.activations(n_tokens * cols);
        let whole = run(&kernel, &rows, n_rows, &x, cols);
        let acts = activations(&kernel, &x, cols);
        let row_bytes = format.row_bytes(cols).unwrap();
        let weights = kernel.stored(&rows, cols);
        for (row_step, token_step, shift) in [(1, 1, 1), (2, 3, 2), (7, 11, 3), (16, 4, 6), (33, 8, 0)] {
            // Panels are shared out as a whole.
            let unit = if kernel.variant().storage == Storage::Panels { ROWS } else { 1 };
            let row_step = usize::next_multiple_of(row_step, unit);
            let mut moved = vec![0u8; shift];
            moved.extend(&*weights);
            let mut out = vec![f32::NAN; whole.len()];
            for r in (0..n_rows).step_by(row_step) {
                let n = row_step.min(n_rows - r);
                for t in (0..n_tokens).step_by(token_step) {
                    let tokens = t..n_tokens.min(t + token_step);
                    let start = &mut out[t * n_rows + r..];
                    // SAFETY: rows `r..` of these tokens, in a matrix that nobody else uses now.
                    let mut part = unsafe { Output::from_raw(start.as_mut_ptr(), n_rows, tokens.len(), n) };
                    kernel.run(
                        &moved[shift + r * row_bytes..][..n.next_multiple_of(unit) * row_bytes],
                        cols,
                        &acts,
                        tokens,
                        &mut part,
                    );
                }
            }
            assert_eq!(bits(&out), bits(&whole), "{kernel:?} in parts of {row_step} rows and {token_step} tokens");
        }
    }
}

/// A token's result is the same whether it comes alone or with many, and on every processor.
#[test]
fn all_kernels_agree_by_bits() {
    for &format in Format::ALL {
        let kernels = LinearKernel::all(format, &Caps::detect());
        for (n_blocks, n_rows, n_tokens) in [(1, 1, 1), (3, 5, 2), (6, 53, 9), (13, 16, 17), (37, 33, 12)] {
            let cols = cols_of(format, n_blocks);
            let mut random = Random::new(n_blocks as u64);
            let rows = random_rows(format, n_rows * cols, &mut random);
            let x = random.activations(n_tokens * cols);
            let results: Vec<_> = kernels.iter().map(|k| bits(&run(k, &rows, n_rows, &x, cols))).collect();
            assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{format} {n_rows}x{cols} n={n_tokens}");
        }
    }
}

#[test]
fn results_do_not_depend_on_how_panels_are_read() {
    for kernel in every_kernel() {
        let format = kernel.variant().format;
        for (n_rows, n_tokens) in [(16, 1), (53, 2), (100, 3), (37, 1), (80, 7)] {
            let cols = cols_of(format, 3);
            let mut random = Random::new(n_rows as u64);
            let rows = random_rows(format, n_rows * cols, &mut random);
            let x = random.activations(n_tokens * cols);
            let expected = bits(&run(&kernel, &rows, n_rows, &x, cols));
            for &reading in kernel.readings() {
                let found = bits(&run(&kernel.with_reading(reading), &rows, n_rows, &x, cols));
                assert_eq!(found, expected, "{kernel:?} {n_rows}x{cols} n={n_tokens}: {reading}");
            }
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_fault_upstream_shows_in_every_result_it_reaches() {
    for kernel in every_kernel() {
        let format = kernel.variant().format;
        let cols = cols_of(format, 4);
        let mut random = Random::new(3);
        let rows = random_rows(format, 6 * cols, &mut random);
        let mut x = random.activations(9 * cols);
        x[3 * cols + cols - 1] = f32::NAN;
        let out = run(&kernel, &rows, 6, &x, cols);
        for (t, out) in out.chunks(6).enumerate() {
            assert!(out.iter().all(|y| y.is_nan() == (t == 3)), "{kernel:?} token {t}: {out:?}");
        }
    }
}

#[test]
fn unusual_scales_are_followed() {
    // Denormal, largest and zero scales stay within the limit; infinite and NaN scales make the row non-finite.
    let scales = [f16::from_bits(1), f16::MAX, f16::ZERO, f16::NEG_ZERO, f16::from_bits(0x83ff)];
    for kernel in every_kernel() {
        let format = kernel.variant().format;
        let cols = cols_of(format, 4);
        let mut random = Random::new(5);
        let pick = &mut |random: &mut Random| scales[random.below(scales.len())];
        let mut rows = rows_with(format, 5 * cols, &mut random, pick);
        let broken = rows_with(format, cols, &mut random, &mut |r| [f16::INFINITY, f16::NAN][r.below(2)]);
        rows.extend(&broken);
        let x = random.activations(9 * cols);
        let out = run(&kernel, &rows, 6, &x, cols);
        let row_bytes = format.row_bytes(cols).unwrap();
        for (t, x) in x.chunks(cols).enumerate() {
            let x = rounded(kernel.layout().format(), x);
            for (r, row) in rows.chunks(row_bytes).take(5).enumerate() {
                let (sum, magnitude) = expected(format, row, &x);
                let found = f64::from(out[t * 6 + r]);
                let limit = 4.0 * f64::from(f32::EPSILON) * magnitude;
                assert!((found - sum).abs() <= limit, "{kernel:?} row {r} token {t}: {found} for {sum}, limit {limit}");
            }
            assert!(!out[t * 6 + 5].is_finite(), "{kernel:?} token {t}: {}", out[t * 6 + 5]);
        }
    }
}

#[test]
fn names_say_what_a_kernel_does() {
    let names: Vec<String> = every_kernel().map(|k| k.name()).collect();
    assert!(names.contains(&"cpu-matvec-q4_kxa8-generic".to_owned()), "{names:?}");
    let mut distinct = names.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), names.len());
}
