//! Times one linear kernel on one thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use silhak_cpu::{Activations, Caps, LinearKernel, Output, Reading};
use silhak_ops::cases::Random;

/// Rows and columns of the weights, and tokens.
pub(crate) type Shape = (usize, usize, usize);

/// The runs of a kernel.
pub(crate) struct Timing {
    /// How weights were read, where there is a choice: the fastest way.
    pub(crate) reading: Option<Reading>,
    /// Weights read in each.
    bytes: usize,
    /// In each; a product and a sum are two.
    operations: usize,
    /// How long each took, the shortest first.
    seconds: Vec<f64>,
}

impl Timing {
    /// Runs `kernel` for [`BUDGET`], once for each way of reading if it can be told one. The weights of a matvec are cycled through [`CYCLE_BYTES`], so that they come from
    /// memory. An error says why the kernel does not take the shape.
    pub(crate) fn of(kernel: &LinearKernel, (rows, cols, tokens): Shape) -> Result<Timing, String> {
        let format = kernel.variant().format;
        let row_bytes = format.row_bytes(cols).ok_or_else(|| format!("rows of {cols} are not whole blocks"))?;
        let bytes = rows * row_bytes;
        let n_copies = if tokens <= 8 { CYCLE_BYTES.div_ceil(bytes) } else { 1 };
        let mut random = Random::new(1);
        let one = random.weights(format, rows.min(64), cols);
        let one = kernel.stored(&one, cols);
        let weights: Vec<u8> = one.iter().copied().cycle().take(bytes * n_copies).collect();
        let x = random.activations(tokens * cols);
        let mut acts = Activations::new(&Caps::detect());
        acts.reset(kernel.layout(), tokens, cols).map_err(|error| error.to_string())?;
        acts.fill(&x);
        let mut out = vec![0.0; rows * tokens];
        let mut run = |kernel: LinearKernel, reading| {
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
            Timing { reading, bytes, operations: 2 * rows * cols * tokens, seconds }
        };
        let told = kernel.readings().iter().map(|&reading| (kernel.with_reading(reading), Some(reading)));
        let timings = told.map(|(kernel, reading)| run(kernel, reading));
        let fastest = timings.min_by(|a, b| a.gigabytes()[1].total_cmp(&b.gigabytes()[1]).reverse());
        Ok(fastest.unwrap_or_else(|| run(*kernel, None)))
    }

    /// Gigabytes of weights per second, in the best run and in the median one.
    pub(crate) fn gigabytes(&self) -> [f64; 2] {
        self.best_and_median().map(|seconds| self.bytes as f64 / seconds / 1e9)
    }

    /// Thousands of millions of operations per second, likewise.
    pub(crate) fn gops(&self) -> [f64; 2] {
        self.best_and_median().map(|seconds| self.operations as f64 / seconds / 1e9)
    }

    fn best_and_median(&self) -> [f64; 2] {
        [self.seconds[0], self.seconds[self.seconds.len() / 2]]
    }
}

/// So much more than a cache holds that what stays in there does not count.
const CYCLE_BYTES: usize = 1 << 30;
/// Time spent on each kernel.
const BUDGET: Duration = Duration::from_millis(700);
