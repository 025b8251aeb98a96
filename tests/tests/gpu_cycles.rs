//! A model loaded and unloaded two hundred times, and its GPU lost twenty times: the process does not grow, and answers stay
//! what they were.

use silhak_gpu::{Gpu, GpuOptions};
use silhak_tests::gpu::{Subject, open_or_skip};

const CYCLES: usize = 200;
const LOSSES: usize = 20;

/// What the allocator may keep of it. A lost device is dropped by a thread of its own, and glibc keeps a heap for some
/// threads: with `MALLOC_ARENA_MAX=1` losses grow no more than cycles do.
const KEPT_KIB: [u64; 2] = [8 << 10, 32 << 10];

#[test]
fn nothing_is_left_behind() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let subject = Subject::new("llama");
    let first = answer(&subject, &gpu);
    let cycles = (0..CYCLES).map(|cycle| {
        assert_eq!(answer(&subject, &gpu), first, "in cycle {cycle}");
        resident_kib()
    });
    let cycles: Vec<u64> = cycles.collect();
    let losses = (0..LOSSES).map(|loss| {
        gpu.lose();
        assert_eq!(answer(&subject, &gpu), first, "after loss {loss}");
        resident_kib()
    });
    let losses: Vec<u64> = losses.collect();
    for (what, resident, kept) in [("cycles", cycles, KEPT_KIB[0]), ("losses", losses, KEPT_KIB[1])] {
        let (begin, end) = (resident[resident.len() / 10], resident[resident.len() - 1]);
        println!("{} {what}: {begin} KiB near the beginning, {end} KiB at the end", resident.len());
        assert!(end <= begin + kept, "{what} grow: {resident:?}");
    }
}

fn answer(subject: &Subject, gpu: &Gpu) -> Vec<f32> {
    subject.logits(subject.prepare(gpu).unwrap().as_mut(), 0, 20).unwrap()
}

/// Memory of this process, where the system tells it as Linux does.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
