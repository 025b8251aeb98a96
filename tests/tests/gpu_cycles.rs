//! A model loaded and unloaded two hundred times, and its GPU lost twenty times in the middle of an answer: the process does
//! not grow, and answers stay what they were.

use std::env;
use std::fs::{self, DirEntry};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use silhak::{Device, GenerateOptions, Generation, LoadOptions, Model, SamplingOptions, Session};
use silhak_gpu::{Gpu, GpuOptions};
use silhak_tests::gpu::{Subject, open_or_skip};
use silhak_tests::tiny::Tiny;

const CYCLES: usize = 200;
const LOSSES: usize = 20;

/// Losses before those that are measured: so many it takes until the allocator has as much as one loss needs at its worst,
/// after which a hundred more add nothing.
const FIRST_LOSSES: usize = 40;

/// What the allocator may keep of it.
const KEPT_KIB: u64 = 8 << 10;

/// glibc gives threads heaps of their own, and a lost device is dropped by a thread of its own: with more heaps than one,
/// memory that is free counts as resident in whichever of them it lies.
const ONE_HEAP: &str = "MALLOC_ARENA_MAX";

#[test]
fn nothing_is_left_behind() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    if env::var_os(ONE_HEAP).is_none() {
        drop(gpu);
        let mut again = Command::new(env::current_exe().unwrap());
        again.args(["--exact", "nothing_is_left_behind", "--nocapture"]).env(ONE_HEAP, "1");
        let output = again.output().unwrap();
        println!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let subject = Subject::new("llama");
    let first = logits(&subject, &gpu);
    let cycles = (0..CYCLES).map(|cycle| {
        assert_eq!(logits(&subject, &gpu), first, "in cycle {cycle}");
        resident_kib()
    });
    let cycles: Vec<u64> = cycles.collect();
    let mut session = load(&gpu).session();
    let first: Vec<_> = answer(&mut session).map(|piece| piece.unwrap().token).collect();
    let losses = (0..FIRST_LOSSES + LOSSES).map(|loss| {
        let mut cut_off = answer(&mut session);
        cut_off.next().unwrap().unwrap();
        gpu.lose();
        assert!(cut_off.any(|piece| piece.is_err_and(|error| error.is_retryable())), "in loss {loss}");
        drop(cut_off);
        let again: Vec<_> = answer(&mut session).map(|piece| piece.unwrap().token).collect();
        assert_eq!(again, first, "after loss {loss}");
        wait_for_burials();
        resident_kib()
    });
    let losses: Vec<u64> = losses.skip(FIRST_LOSSES).collect();
    for (what, resident) in [("cycles", cycles), ("losses", losses)] {
        let (begin, end) = (resident[resident.len() / 10], resident[resident.len() - 1]);
        println!("{} {what}: {begin} KiB near the beginning, {end} KiB at the end", resident.len());
        assert!(end <= begin + KEPT_KIB, "{what} grow: {resident:?}");
    }
}

fn logits(subject: &Subject, gpu: &Gpu) -> Vec<f32> {
    subject.logits(subject.prepare(gpu).unwrap().as_mut(), 0, 20).unwrap()
}

fn load(gpu: &Gpu) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    Tiny::new("llama").write(&path).unwrap();
    let options = LoadOptions { device: Device::Gpu, n_ctx: Some(64), max_batch: 32, ..LoadOptions::default() };
    Model::load_on_gpu(path, options, Arc::new(gpu.clone())).unwrap()
}

/// Twenty tokens, for which the device runs ahead.
fn answer(session: &mut Session) -> Generation<'_> {
    let sampling = SamplingOptions::greedy();
    let options = GenerateOptions { sampling, max_tokens: Some(20), ignore_end: true, ..GenerateOptions::default() };
    session.generate(&[1, 2, 3, 4, 5], options).unwrap()
}

/// Waits until no thread drops a lost device any more: on a busy machine several would be there at a time.
fn wait_for_burials() {
    let is_burial =
        |task: DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == BURIAL);
    let tasks = || fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let begun = Instant::now();
    while tasks().any(is_burial) {
        assert!(begun.elapsed() < Duration::from_secs(60), "a lost device is not dropped");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The name of the threads that drop lost devices.
const BURIAL: &str = "silhak-gpu-lost";

/// Memory of this process, where the system tells it as Linux does.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
