//! `oracle dot`: Silhak's matmul kernels against ggml's quantized dot products.

use anyhow::{Context, Result, bail};
use clap::Args;
use silhak_cpu::{Activations, Caps, LinearKernel, Output};
use silhak_quant::Format;

use crate::ggml;

#[derive(Args)]
pub(crate) struct Options {
    /// Values per row: a multiple of 256
    #[arg(long, default_value_t = 2048)]
    cols: usize,
    #[arg(long, default_value_t = 256)]
    rows: usize,
    /// Rows of activations
    #[arg(long, default_value_t = 9)]
    tokens: usize,
}

/// How much larger than ggml's a kernel's error may be. Both round activations to 8 bits, but not to the same ones.
const ALLOWED: f64 = 1.05;

/// Errors of float32 sums in another order are no errors.
const NEGLIGIBLE: f64 = 1e-6;

pub(crate) fn run(options: &Options) -> Result<()> {
    ggml::initialize();
    let caps = Caps::detect();
    let mut random = Random(1);
    let mut worse = 0;
    println!("error (RMS) relative to the exact products (RMS)");
    for &format in Format::ALL {
        let case = Case::new(format, options, &mut random)?;
        let theirs = case.error(&case.ggml()?);
        println!("{:34} {theirs:.3e}", format!("ggml {format}"));
        for kernel in LinearKernel::all(format, &caps) {
            let ours = case.error(&case.kernel(&kernel, &caps)?);
            let good = ours <= theirs * ALLOWED || ours <= NEGLIGIBLE; // false for a NaN
            println!("{:34} {ours:.3e}{}", kernel.name(), if good { "" } else { "  WORSE" });
            worse += u32::from(!good);
        }
    }
    if worse != 0 {
        bail!("{worse} kernels are less exact than ggml's");
    }
    Ok(())
}

/// Weights of one format, activations, and their products. Results are `[tokens, rows]`.
struct Case {
    format: Format,
    cols: usize,
    tokens: usize,
    weights: Vec<u8>,
    activations: Vec<f32>,
    /// In float64, of the decoded weights and the activations as they are.
    exact: Vec<f64>,
}

impl Case {
    fn new(format: Format, options: &Options, random: &mut Random) -> Result<Self> {
        let Options { cols, rows, tokens } = *options;
        let row_bytes = format.row_bytes(cols).with_context(|| format!("--cols {cols} is no multiple of 256"))?;
        if rows == 0 || tokens == 0 || cols == 0 {
            bail!("--cols, --rows and --tokens must be at least 1");
        }
        let activations: Vec<f32> = (0..tokens * cols).map(|_| random.gaussian()).collect();
        let mut weights = vec![0; rows * row_bytes];
        let mut decoded = vec![0.0; rows * cols];
        for (bytes, values) in weights.chunks_exact_mut(row_bytes).zip(decoded.chunks_exact_mut(cols)) {
            let wanted: Vec<f32> = (0..cols).map(|_| random.gaussian() * 0.02).collect();
            silhak_quant::quantize(format, &wanted, bytes)?;
            silhak_quant::dequantize(format, bytes, values)?;
        }
        let exact = activations
            .chunks_exact(cols)
            .flat_map(|token| decoded.chunks_exact(cols).map(|row| dot(row, token)))
            .collect();
        Ok(Case { format, cols, tokens, weights, activations, exact })
    }

    fn ggml(&self) -> Result<Vec<f32>> {
        let ggml = ggml::Type::from_id(self.format.ggml_id())?;
        let mut out = Vec::with_capacity(self.exact.len());
        for token in self.activations.chunks_exact(self.cols) {
            for row in self.weights.chunks_exact(self.weights.len() / self.rows()) {
                out.push(ggml.dot(row, token)?);
            }
        }
        Ok(out)
    }

    fn kernel(&self, kernel: &LinearKernel, caps: &Caps) -> Result<Vec<f32>> {
        let mut activations = Activations::new(caps);
        activations.reset(kernel.layout(), self.tokens, self.cols)?;
        activations.fill(&self.activations);
        let mut out = vec![0.0; self.exact.len()];
        let mut output = Output::new(&mut out, self.rows());
        kernel.run(&kernel.stored(&self.weights, self.cols), self.cols, &activations, 0..self.tokens, &mut output);
        Ok(out)
    }

    fn rows(&self) -> usize {
        self.exact.len() / self.tokens
    }

    fn error(&self, found: &[f32]) -> f64 {
        let square = |sum: f64, value: f64| sum + value * value;
        let differences = self.exact.iter().zip(found).map(|(exact, found)| f64::from(*found) - exact);
        (differences.fold(0.0, square) / self.exact.iter().copied().fold(0.0, square)).sqrt()
    }
}

fn dot(row: &[f32], token: &[f32]) -> f64 {
    row.iter().zip(token).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Knuth's MMIX linear congruence.
struct Random(u64);

impl Random {
    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) + 1) as f64 / (1_u64 << 31) as f64
    }

    /// Mean 0, variance 1 (Box and Muller).
    fn gaussian(&mut self) -> f32 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.uniform()).cos()) as f32
    }
}
