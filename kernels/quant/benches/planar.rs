//! Times the splitting of weights into planes, in one thread.
//!
//! ```text
//! cargo bench -p silhak-quant --bench planar -- [FORMAT]
//! ```
//!
//! Prints the bytes of the file that each format's best of some rounds takes in a second. The rows fit into a core's cache,
//! as those do that are split while a model is uploaded.

#![allow(clippy::print_stdout, reason = "a benchmark's results are its output")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use silhak_quant::Format;
use silhak_quant::planar::Planes;

const COLS: usize = 4096;
const ROWS: usize = 16;
const ROUNDS: usize = 2000;

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().skip(1).find_map(|argument| argument.parse::<Format>().ok());
    for &format in Format::ALL.iter().filter(|&&format| wanted.is_none_or(|wanted| wanted == format)) {
        let n_bytes = ROWS * format.row_bytes(COLS).ok_or("rows are whole blocks")?;
        let bytes: Vec<u8> = (0..n_bytes as u32).map(|i| (i.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect();
        let mut planes = Planes::default();
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            planes.fill(format, black_box(&bytes), COLS)?;
            black_box(&planes);
            best = best.min(begun.elapsed().as_secs_f64());
        }
        println!("{:8} {:7.2} GB/s", format.name(), n_bytes as f64 / best / 1e9);
    }
    Ok(())
}
