//! What this machine's memory and cores give, and how much of it each linear kernel uses.
//!
//! ```text
//! cargo bench -p silhak-cpu --bench limits -- [FORMAT ...]
//! ```
//!
//! A kernel for one token can be no faster than its weights are read, and one for many tokens no faster than bytes are
//! multiplied with the fastest instruction of its instruction set. All are the best of several runs, and
//! of one thread where nothing else is said.

#![allow(clippy::print_stdout, reason = "a benchmark's results are its output")]

mod bounds;
mod timing;

use std::process::ExitCode;

use silhak_cpu::policy::LinearShape;
use silhak_cpu::{Caps, LinearKernel};
use silhak_ops::Error;
use silhak_quant::Format;

use bounds::{Bounds, Peak};
use timing::{Shape, Timing};

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let formats: Result<Vec<Format>, _> = arguments.map(|argument| argument.parse()).collect();
    let outcome = formats.map_err(|error| error.to_string()).and_then(|formats| {
        let formats = if formats.is_empty() { Format::ALL } else { &formats };
        print(formats).map_err(|error| error.to_string())
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(formats: &[Format]) -> Result<(), Error> {
    let mut bounds = Bounds::new()?;
    let mut timings = Vec::new();
    for &format in formats {
        eprintln!("{format} ...");
        timings.extend(LinearKernel::all(format, &Caps::detect()).into_iter().map(|kernel| {
            let shape = shape(&kernel);
            (kernel, shape, Timing::of(&kernel, shape))
        }));
        // Between kernels, so that both have had the same chance of a quiet moment.
        bounds.measure()?;
    }
    for (n_threads, gigabytes) in bounds.bandwidths() {
        println!("{:58} {gigabytes:8.1} GB/s", format!("memory read, threads: {n_threads}"));
    }
    for peak in &bounds.peaks {
        let name = format!("bytes multiplied by a core, {}: {}", peak.isa(), peak.instructions());
        println!("{name:58} {:8.1} GOPS", peak.gops());
    }
    println!("\n{:36} {:>14}  {:>17}  {:>17}", "kernel", "shape", "GB/s, of memory", "GOPS, of core");
    for (kernel, shape, timing) in &timings {
        match timing {
            Ok(timing) => print_kernel(kernel, *shape, timing, &bounds),
            Err(why) => println!("{:36} {why}", kernel.name()),
        }
    }
    Ok(())
}

/// What the kernel is made for.
fn shape(kernel: &LinearKernel) -> Shape {
    match kernel.variant().shape {
        LinearShape::Matvec => (4096, 4096, 1),
        LinearShape::Matmul => (1024, 4096, 512),
    }
}

fn print_kernel(kernel: &LinearKernel, (rows, cols, tokens): Shape, timing: &Timing, bounds: &Bounds) {
    let ([gigabytes, _], [gops, _]) = (timing.gigabytes(), timing.gops());
    let of_one_thread = bounds.bandwidths().next().map(|(_, gigabytes)| gigabytes);
    let memory = match tokens {
        1 => format!("{gigabytes:8.1} {:>8}", percent(gigabytes, of_one_thread)),
        _ => format!("{:>17}", "-"), // weights come from the cache
    };
    let of_core = percent(gops, peak(kernel, &bounds.peaks));
    let (name, shape) = (kernel.name(), format!("{rows}x{cols}x{tokens}"));
    let reading = timing.reading.map_or_else(String::new, |reading| format!("  {reading}"));
    println!("{name:36} {shape:>14}  {memory}  {gops:8.1} {of_core:>8}{reading}");
}

/// What bounds products of bytes in the kernel; none where it multiplies floats, or with what every processor has.
fn peak(kernel: &LinearKernel, peaks: &[Peak]) -> Option<f64> {
    let variant = kernel.variant();
    let multiplies_bytes = variant.format.block_len() > 1;
    peaks.iter().find(|peak| multiplies_bytes && peak.isa() == variant.isa).map(Peak::gops)
}

fn percent(part: f64, whole: Option<f64>) -> String {
    whole.map_or_else(|| "-".to_owned(), |whole| format!("{:.0} %", 100.0 * part / whole))
}
