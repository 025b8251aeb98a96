//! Kernels are measured once, what is found is kept, and every form gives the same but for the order of sums.

use std::env;
use std::fs;
use std::process;

use bytes::Bytes;
use silhak_gpu::{Gpu, GpuOptions};
use silhak_ops::cases::Random;
use silhak_ops::{Activation, Backend, Batch, ExecConfig, KvConfig, KvElement, Plan, PlanBuilder, Weight};
use silhak_quant::Format;
use silhak_tests::gpu::open_or_skip;

const WIDTH: usize = 256;
const HIDDEN: usize = 2048;

/// A gated feed-forward layer, so that both kinds of kernels that have forms are in it.
fn layer() -> (Plan, Vec<Bytes>) {
    let (p, mut random, mut weights) = (PlanBuilder::new(), Random::new(3), Vec::new());
    let mut weight = |name: &str, rows, cols| {
        weights.push(random.weights(Format::Q4K, rows, cols));
        p.weight(Weight { name: name.into(), format: Format::Q4K, rows, cols })
    };
    let x = p.input(WIDTH);
    let (gate, up) = (p.linear(x, weight("gate", HIDDEN, WIDTH)), p.linear(x, weight("up", HIDDEN, WIDTH)));
    p.output(p.linear(p.gate(gate, up, Activation::Silu), weight("down", WIDTH, HIDDEN)));
    (p.finish().unwrap(), weights)
}

fn run(gpu: &Gpu, n: usize) -> Vec<f32> {
    let (plan, weights) = layer();
    let kv = KvConfig { page_len: 1, n_pages: Vec::new(), element: KvElement::F32 };
    let config = ExecConfig { kv, max_tokens: 8, max_outputs: 8 };
    let mut executor = gpu.prepare(&plan.into(), &weights, &config).unwrap();
    let mut batch = Batch::new();
    let sequence = batch.add_sequence(Vec::new());
    (0..n as u32).for_each(|i| batch.add_token(sequence, 0, i, true));
    let x: Vec<f32> = (0..n * WIDTH).map(|i| (i % 23) as f32 / 7.0 - 1.5).collect();
    let mut outputs = [vec![f32::NAN; n * WIDTH]];
    executor.run(&batch, &[&x], &mut outputs).unwrap();
    let [y] = outputs;
    y
}

#[test]
fn forms_are_kept_and_obeyed() {
    let folder = env::temp_dir().join(format!("silhak-gpu-tune-{}", process::id()));
    let options = GpuOptions { kernel_cache: Some(folder.clone()), ..GpuOptions::default() };
    let Some(gpu) = open_or_skip(&options) else { return };
    let plain = open_or_skip(&GpuOptions::default()).unwrap();
    run(&gpu, 1);
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let kept = fs::read_to_string(&file).unwrap();
    println!("{kept}");
    assert!(kept.contains("gpu-gated_quantized-q4_k") && kept.contains("gpu-matvec-q4_k"), "{kept}");
    assert_eq!(kept.lines().count(), 3, "{kept}");

    // Whatever the file says is what runs, if there is such a form; with one column and with all that a form takes.
    for (gated, matvec) in [("8x1", "32x2"), ("16x4", "32x4"), ("32x4", "64x8"), ("0x0", "32x2")] {
        let line = |line: &str| {
            let (_, key) = line.split_once(' ').unwrap();
            // The gate's rows are too short for the forms of many threads.
            let form = if key.contains("gated") { gated } else { matvec };
            format!("{} {key}\n", if key.contains("-gate ") { "32x2" } else { form })
        };
        let text: String = kept.lines().map(line).collect();
        fs::write(&file, &text).unwrap();
        let gpu = open_or_skip(&options).unwrap();
        for n in [1, 3, 8] {
            let (found, expected) = (run(&gpu, n), run(&plain, n));
            let scale = expected.iter().fold(0.0f32, |most, y| most.max(y.abs()));
            let error = found.iter().zip(&expected).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            // An activation on the edge of a rounding step may fall to the other side.
            assert!(error <= 1e-3 * scale, "{gated} {matvec} {n}: {error} of {scale}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "nothing was measured again");
    }
    fs::remove_dir_all(&folder).unwrap();
}
