//! The GPU's profile: which kernels ran, how often, and how many bytes of weights they read.

use silhak_gpu::{Gpu, GpuOptions};
use silhak_ops::cases::Random;
use silhak_ops::{Backend, Batch, ExecConfig, Executor, KernelTime, KvConfig, KvElement, PlanBuilder, Weight};
use silhak_quant::Format;
use silhak_tests::gpu::open_or_skip;

const WIDTH: usize = 256;
const N_VOCAB: usize = 64;

/// Looks tokens up, and multiplies them with three matrices of one format and one of another.
fn executor(gpu: &Gpu) -> Box<dyn Executor> {
    let mut random = Random::new(7);
    let p = PlanBuilder::new();
    let mut weights = Vec::new();
    let mut weight = |name: &str, format, rows| {
        weights.push(random.weights(format, rows, WIDTH));
        p.weight(Weight { name: name.into(), format, rows, cols: WIDTH })
    };
    let (table, q4, head) = (
        weight("table", Format::F32, N_VOCAB),
        weight("q4", Format::Q4_0, WIDTH),
        weight("head", Format::Q8_0, N_VOCAB),
    );
    let mut x = p.embed(table);
    for _ in 0..3 {
        x = p.linear(x, q4);
    }
    p.output(p.linear(x, head));
    let kv = KvConfig { page_len: 1, n_pages: Vec::new(), element: KvElement::F32 };
    let config = ExecConfig { kv, max_tokens: 16, max_outputs: 16 };
    gpu.prepare(&p.finish().unwrap().into(), &weights, &config).unwrap()
}

fn run(executor: &mut dyn Executor, n: u32) {
    let mut batch = Batch::new();
    let sequence = batch.add_sequence(Vec::new());
    (0..n).for_each(|i| batch.add_token(sequence, i, i, true));
    executor.run(&batch, &[], &mut [Vec::new()]).unwrap();
}

#[test]
fn calls_and_bytes_are_those_of_the_plan() {
    let Some(gpu) = open_or_skip(&GpuOptions { profile: true, ..GpuOptions::default() }) else { return };
    let mut executor = executor(&gpu);
    for _ in 0..5 {
        run(executor.as_mut(), 1);
    }
    let profile = executor.profile();
    if profile.is_empty() {
        println!("SKIPPED: this driver has no timestamps");
        return;
    }
    profile.iter().for_each(|time| println!("{time:?}"));
    // The planes of Q4_0 and Q8_0 take what the file takes: half a byte or a byte a value, and a half float for 32.
    let (q4, q8) = (WIDTH * WIDTH / 32 * 18, N_VOCAB * WIDTH / 32 * 34);
    let of = |kernel: &str| profile.iter().find(|time| time.kernel.starts_with(kernel)).unwrap();
    let counted = |time: &KernelTime| (time.calls, time.weight_bytes);
    assert_eq!(counted(of("gpu-matvec-q4_0")), (15, 15 * q4 as u64));
    assert_eq!(counted(of("gpu-matvec-q8_0")), (5, 5 * q8 as u64));
    assert_eq!(counted(of("gpu-embed")), (5, 0));
    assert!(profile.iter().all(|time| time.seconds > 0.0 && time.seconds < 10.0));
    assert!(profile.is_sorted_by(|a, b| a.seconds >= b.seconds));
    assert_eq!(executor.profile(), []);

    // With many rows another kernel runs, and the weights are still counted once a call.
    run(executor.as_mut(), 16);
    let profile = executor.profile();
    let matmul = profile.iter().find(|time| time.kernel.starts_with("gpu-matmul-q4_0")).unwrap();
    assert_eq!(counted(matmul), (3, 3 * q4 as u64));
}

#[test]
fn who_does_not_ask_gets_no_profile() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let mut executor = executor(&gpu);
    run(executor.as_mut(), 1);
    assert_eq!(executor.profile(), []);
}

#[test]
fn the_bandwidth_is_one_and_leaves_nothing_behind() {
    let Some(gpu) = open_or_skip(&GpuOptions { memory_limit: Some(40 << 20), ..GpuOptions::default() }) else { return };
    let bandwidth = gpu.read_bandwidth().unwrap();
    println!("{}: reads {:.1} GB/s", gpu.adapter(), bandwidth / 1e9);
    assert!(bandwidth > 1e7 && bandwidth < 1e14, "{bandwidth}");
    assert_eq!(gpu.memory().used, 0);
}
