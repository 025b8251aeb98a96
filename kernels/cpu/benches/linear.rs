//! Times the linear kernels on one thread.
//!
//! ```text
//! cargo bench -p silhak-cpu --bench linear -- [FORMAT ...] [ROWS COLS TOKENS]
//! ```
//!
//! Without arguments: every format, 4096 x 4096, 1 and 512 tokens. The weights of a matvec are cycled through 256 MiB,
//! so that they come from memory. Prints for each kernel the best and the median of its runs: gigabytes of weights and
//! thousands of millions of operations (a product and a sum are two) per second.

#![allow(clippy::print_stdout, reason = "a benchmark's results are its output")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use silhak_cpu::{Activations, Caps, LinearKernel, Output};
use silhak_ops::cases::Random;
use silhak_quant::Format;

/// More than any cache holds.
const CYCLE_BYTES: usize = 256 << 20;
/// Time spent on each kernel.
const BUDGET: Duration = Duration::from_millis(700);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let formats: Vec<Format> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    let numbers: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    let formats = if formats.is_empty() { Format::ALL } else { &formats };
    let shapes = match numbers[..] {
        [rows, cols, tokens] => vec![(rows, cols, tokens)],
        _ => vec![(4096, 4096, 1), (1024, 4096, 512)],
    };
    println!("{:36} {:>18}  {:>15}  {:>15}", "kernel", "shape", "GB/s best/med", "GOPS best/med");
    for &format in formats {
        for &shape in &shapes {
            for kernel in LinearKernel::all(format, &Caps::detect()) {
                time(&kernel, format, shape);
            }
        }
    }
}

fn time(kernel: &LinearKernel, format: Format, (rows, cols, tokens): (usize, usize, usize)) {
    let Some(row_bytes) = format.row_bytes(cols) else {
        println!("{:36} rows of {cols} are not whole blocks", kernel.name());
        return;
    };
    let bytes = rows * row_bytes;
    let n_copies = if tokens <= 8 { CYCLE_BYTES.div_ceil(bytes) } else { 1 };
    let mut random = Random::new(1);
    let one = random.weights(format, rows.min(64), cols);
    let one = kernel.stored(&one, cols);
    let weights: Vec<u8> = one.iter().copied().cycle().take(bytes * n_copies).collect();
    let x = random.activations(tokens * cols);
    let mut acts = Activations::new(&Caps::detect());
    if let Err(error) = acts.reset(kernel.layout(), tokens, cols) {
        println!("{:36} {error}", kernel.name());
        return;
    }
    acts.fill(&x);
    let mut out = vec![0.0; rows * tokens];
    let mut seconds = Vec::new();
    let start = Instant::now();
    while start.elapsed() < BUDGET || seconds.len() < 3 {
        let copy = &weights[seconds.len() % n_copies * bytes..][..bytes];
        let begin = Instant::now();
        kernel.run(copy, cols, &acts, 0..tokens, &mut Output::new(&mut out, rows));
        seconds.push(begin.elapsed().as_secs_f64());
        black_box(&out);
    }
    seconds.sort_by(f64::total_cmp);
    let (best, median) = (seconds[0], seconds[seconds.len() / 2]);
    let gigabytes = |t: f64| bytes as f64 / t / 1e9;
    let operations = |t: f64| 2.0 * (rows * cols * tokens) as f64 / t / 1e9;
    println!(
        "{:36} {:>18}  {:7.1} {:7.1}  {:7.1} {:7.1}",
        kernel.name(),
        format!("{rows}x{cols}x{tokens}"),
        gigabytes(best),
        gigabytes(median),
        operations(best),
        operations(median)
    );
}
