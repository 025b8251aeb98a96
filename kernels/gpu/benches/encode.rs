//! Times what the host does for a token: writing the batch, encoding, submitting and reading back, on a device that does
//! nothing.
//!
//! ```text
//! cargo bench -p silhak-gpu --features noop --bench encode -- [LAYERS]
//! ```
//!
//! Prints the median and the best time of a thousand tokens.

#![allow(clippy::print_stdout, reason = "a benchmark's results are its output")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use silhak_gpu::Gpu;
use silhak_ops::{
    Activation, Backend, Batch, ExecConfig, KvConfig, KvElement, KvLayer, Page, Pairing, Plan, PlanBuilder, Rope,
    RopeScaling, Weight,
};
use silhak_quant::Format;

const N_TOKENS: usize = 1000;
const PAGE_LEN: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let n_layers = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(64);
    let plan = Arc::new(plan(n_layers)?);
    let weights = plan.weights().iter().map(|w| Ok(Bytes::from(vec![0; w.bytes()?])));
    let weights = weights.collect::<Result<Vec<_>, silhak_ops::Error>>()?;
    let n_pages = N_TOKENS.div_ceil(PAGE_LEN);
    let kv = KvConfig { page_len: PAGE_LEN, n_pages: vec![n_pages], element: KvElement::F16 };
    let mut executor = Gpu::noop()?.prepare(&plan, &weights, &ExecConfig { kv, max_tokens: 1, max_outputs: 1 })?;
    let table: Vec<Option<Page>> = (0..n_pages as u32).map(|i| Some(Page(i))).collect();
    let mut times = Vec::with_capacity(N_TOKENS);
    for position in 0..N_TOKENS as u32 {
        let mut batch = Batch::new();
        let sequence = batch.add_sequence(vec![table.clone()]);
        batch.add_token(sequence, 7, position, true);
        let start = Instant::now();
        executor.run(&batch, &[], &mut [Vec::new()])?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{n_layers} layers: median {:.3} ms a token, best {:.3} ms", times[N_TOKENS / 2], times[0]);
    Ok(())
}

/// The forward pass of a llama of that many layers, in matrices as small as their format allows.
fn plan(n_layers: usize) -> Result<Plan, silhak_ops::Error> {
    let p = PlanBuilder::new();
    let matrix = |rows| p.weight(Weight { name: "matrix".into(), format: Format::Q4K, rows, cols: 256 });
    let vector = || p.weight(Weight { name: "vector".into(), format: Format::F32, rows: 1, cols: 256 });
    let rope = Rope { n_rot: 64, pairing: Pairing::Halves, base: 1e6, scaling: RopeScaling::None, factors: None };
    let mut h = p.embed(matrix(64));
    for _ in 0..n_layers {
        let x = p.rms_norm(h, vector(), 1e-5);
        let (q, k, v) = (p.linear(x, matrix(256)), p.linear(x, matrix(64)), p.linear(x, matrix(64)));
        let kv = p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: 64, window: None });
        p.kv_write(kv, p.rope(k, 64, &rope), v);
        let x = p.attention(kv, p.rope(q, 64, &rope), 0.125);
        h = p.add(h, p.linear(x, matrix(256)));
        let x = p.rms_norm(h, vector(), 1e-5);
        let (gate, up) = (p.linear(x, matrix(256)), p.linear(x, matrix(256)));
        h = p.add(h, p.linear(p.gate(gate, up, Activation::Silu), matrix(256)));
    }
    p.output(p.linear(p.rms_norm(p.select(h), vector(), 1e-5), matrix(64)));
    p.finish()
}
