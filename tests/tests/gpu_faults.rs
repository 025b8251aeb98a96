//! What goes wrong with a GPU: every allocation refused in turn, and the device lost before, during and between batches.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use silhak::architectures;
use silhak_gpu::{Gpu, GpuOptions};
use silhak_ops::Error;
use silhak_tests::gpu::{Subject, open_or_skip};

/// A loss must be told within this time.
const TOLD: Duration = Duration::from_secs(2);

#[test]
fn every_allocation_may_be_refused() {
    for architecture in architectures() {
        let Some(gpu) = open_or_skip(&GpuOptions { memory_limit: Some(0), ..GpuOptions::default() }) else { return };
        let subject = Subject::new(architecture);
        let mut n_refused = 0;
        let mut executor = loop {
            match subject.prepare(&gpu) {
                Ok(executor) => break executor,
                Err(Error::OutOfMemory { bytes, .. }) => {
                    n_refused += 1;
                    let memory = gpu.memory();
                    assert_eq!(memory.used, 0, "refusal {n_refused} of {architecture} leaves something behind");
                    // Allocations come in a fixed order: now this one passes, and the next is refused.
                    gpu.limit_memory(Some(memory.peak + bytes as u64));
                }
                Err(error) => panic!("{error}"),
            }
        };
        println!("{architecture}: {n_refused} allocations, each refused once; {:?}", gpu.memory());
        assert!(n_refused > 20);
        assert_eq!(gpu.memory().limit, Some(gpu.memory().used), "not a byte more is needed");
        let found = subject.logits(executor.as_mut(), 0, 20).unwrap();
        drop(executor);
        assert_eq!(gpu.memory().used, 0);
        gpu.limit_memory(None);
        let expected = subject.logits(subject.prepare(&gpu).unwrap().as_mut(), 0, 20).unwrap();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_refusal_says_what_is_in_use() {
    let Some(gpu) = open_or_skip(&GpuOptions { memory_limit: Some(1000), ..GpuOptions::default() }) else { return };
    let error = Subject::new("llama").prepare(&gpu).err().unwrap().to_string();
    assert!(error.contains("bytes for keys and values") && error.contains("--ctx"), "{error}");
}

#[test]
fn after_a_loss_another_executor_works() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let subject = Subject::new("gemma3");
    let mut executor = subject.prepare(&gpu).unwrap();
    let expected = subject.logits(executor.as_mut(), 0, 20).unwrap();
    let continued = subject.logits(executor.as_mut(), 20, 5).unwrap();
    let used = gpu.memory().used;
    for i in 0..20 {
        gpu.lose();
        lost_in_time(|| subject.logits(executor.as_mut(), 20, 5));
        // Nobody gets an answer made from zeros, nor one from the beginning.
        lost_in_time(|| subject.logits(executor.as_mut(), 20, 5));
        lost_in_time(|| subject.logits(executor.as_mut(), 0, 20));
        executor = subject.prepare(&gpu).unwrap();
        assert_eq!(subject.logits(executor.as_mut(), 0, 20).unwrap(), expected, "after loss {i}");
        assert_eq!(subject.logits(executor.as_mut(), 20, 5).unwrap(), continued, "after loss {i}");
        assert_eq!(gpu.memory().used, used, "after loss {i}");
    }
}

#[test]
fn a_device_lost_during_a_batch_ends_the_batch() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let subject = Subject::new("llama");
    let mut executor = subject.prepare(&gpu).unwrap();
    let expected = subject.logits(executor.as_mut(), 0, 20).unwrap();
    for wait in [0, 1, 3, 7, 20] {
        let lose = lose_after(&gpu, Duration::from_millis(wait));
        let error = loop {
            if let Err(error) = subject.logits(executor.as_mut(), 0, 20) {
                break error;
            }
        };
        let told = Instant::now();
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
        assert!(told.saturating_duration_since(lose.join().unwrap()) < TOLD);
        executor = subject.prepare(&gpu).unwrap();
        assert_eq!(subject.logits(executor.as_mut(), 0, 20).unwrap(), expected);
    }
}

#[test]
fn a_device_lost_while_weights_are_uploaded_is_an_error_and_can_be_opened_again() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let subject = Subject::new("llama");
    gpu.lose();
    let expected = subject.logits(subject.prepare(&gpu).unwrap().as_mut(), 0, 20).unwrap();
    for wait in [1, 3, 10] {
        let lose = lose_after(&gpu, Duration::from_millis(wait));
        // It is lost during the upload, or the upload was faster.
        match subject.prepare(&gpu) {
            Ok(_) => {}
            Err(error) => assert!(matches!(error, Error::DeviceLost { .. }), "{error}"),
        }
        lose.join().unwrap();
        assert_eq!(subject.logits(subject.prepare(&gpu).unwrap().as_mut(), 0, 20).unwrap(), expected);
    }
}

#[test]
fn a_batch_that_does_not_end_is_a_loss() {
    let impatient = GpuOptions { patience: Some(Duration::ZERO), ..GpuOptions::default() };
    let Some(gpu) = open_or_skip(&impatient) else { return };
    let subject = Subject::new("llama");
    let error = lost_in_time(|| {
        let mut executor = subject.prepare(&gpu)?;
        // The driver may be done before it is asked the first time.
        (0..1000).try_for_each(|_| subject.logits(executor.as_mut(), 0, 32).map(drop))
    });
    assert!(error.to_string().contains("did not end within"), "{error}");
}

/// Loses the device from another thread, which tells when it did.
fn lose_after(gpu: &Gpu, wait: Duration) -> JoinHandle<Instant> {
    let gpu = gpu.clone();
    thread::spawn(move || {
        thread::sleep(wait);
        gpu.lose();
        Instant::now()
    })
}

/// The error of what runs on a lost device.
fn lost_in_time<T>(run: impl FnOnce() -> Result<T, Error>) -> Error {
    let begun = Instant::now();
    let error = run().err().expect("the device is lost");
    assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    assert!(begun.elapsed() < TOLD, "told after {:?}", begun.elapsed());
    error
}
