//! A model loaded and unloaded two hundred times, and its GPU lost twenty times: the process does not grow, and answers stay
//! what they were.

use silhak_gpu::{Gpu, GpuOptions};
use silhak_tests::gpu::{Subject, open_or_skip};

const CYCLES: usize = 200;
const LOSSES: usize = 20;

#[test]
fn nothing_is_left_behind() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let subject = Subject::new("llama");
    let first = answer(&subject, &gpu);
    let mut resident = Vec::new();
    for cycle in 0..CYCLES {
        assert_eq!(answer(&subject, &gpu), first, "in cycle {cycle}");
        resident.push(resident_kib());
    }
    println!("KiB after each 20th cycle: {:?}", resident.iter().step_by(20).collect::<Vec<_>>());
    resident.clear();
    for loss in 0..LOSSES {
        gpu.lose();
        assert_eq!(answer(&subject, &gpu), first, "after loss {loss}");
        resident.push(resident_kib());
    }
    println!("KiB after each loss: {resident:?}");
}

fn answer(subject: &Subject, gpu: &Gpu) -> Vec<f32> {
    subject.logits(subject.prepare(gpu).unwrap().as_mut(), 0, 20).unwrap()
}

/// Memory of this process, where the system tells it as Linux does.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
}
