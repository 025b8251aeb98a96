//! Times the linear kernels on one thread.
//!
//! ```text
//! cargo bench -p silhak-cpu --bench linear -- [FORMAT ...] [ROWS COLS TOKENS]
//! ```
//!
//! Without arguments: every format, 4096 x 4096, 1 and 512 tokens. The weights of a matvec are cycled through 1 GiB,
//! so that they come from memory. Prints for each kernel the best and the median of its runs: gigabytes of weights and
//! thousands of millions of operations (a product and a sum are two) per second; and how weights were read, where one way
//! was the fastest of several.

#![allow(clippy::print_stdout, reason = "a benchmark's results are its output")]

mod timing;

use silhak_cpu::{Caps, LinearKernel};
use silhak_quant::Format;

use timing::{Shape, Timing};

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
                print(&kernel, shape);
            }
        }
    }
}

fn print(kernel: &LinearKernel, shape: Shape) {
    let name = kernel.name();
    let timing = match Timing::of(kernel, shape) {
        Ok(timing) => timing,
        Err(why) => return println!("{name:36} {why}"),
    };
    let (rows, cols, tokens) = shape;
    let shape = format!("{rows}x{cols}x{tokens}");
    let ([best_bytes, median_bytes], [best_gops, median_gops]) = (timing.gigabytes(), timing.gops());
    let reading = timing.reading.map_or_else(String::new, |reading| format!("  {reading}"));
    println!("{name:36} {shape:>18}  {best_bytes:7.1} {median_bytes:7.1}  {best_gops:7.1} {median_gops:7.1}{reading}");
}
