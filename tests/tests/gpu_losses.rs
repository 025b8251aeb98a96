//! The engine on a GPU that is lost: in the middle of an answer, between answers, and again and again.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use silhak::{BackendError, Device, Error, FinishReason, GenerateOptions, GpuLayers, LoadOptions, Model};
use silhak::{SamplingOptions, Session};
use silhak_gpu::{Gpu, GpuOptions};
use silhak_tests::gpu::open_or_skip;
use silhak_tests::log::Lines;
use silhak_tests::tiny::Tiny;
use tracing::Level;

/// A loss must be told within this time.
const TOLD: Duration = Duration::from_secs(2);

/// What batches on their way may take for their tokens: how many there are at a time depends on how fast they are.
const AHEAD_BYTES: u64 = 1 << 10;

/// A tiny model on a GPU, and a hand on the GPU.
struct Subject {
    gpu: Gpu,
    model: Model,
    /// The same model on what `load` says, to compare with.
    load: Box<dyn Fn(Device, GpuLayers) -> Model>,
}

/// `None` where there is no GPU.
fn subject(architecture: &'static str) -> Option<Subject> {
    let gpu = open_or_skip(&GpuOptions::default())?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    Tiny::new(architecture).write(&path).unwrap();
    let options = |device, gpu_layers| LoadOptions {
        device,
        gpu_layers,
        n_ctx: Some(160),
        sequences: 3,
        max_batch: 16,
        page_len: 16,
        ..LoadOptions::default()
    };
    let model = Model::load_on_gpu(&path, options(Device::Gpu, GpuLayers::Auto), Arc::new(gpu.clone())).unwrap();
    let load = move |device, gpu_layers| {
        let path = folder.path().join("tiny.gguf");
        Model::load(path, options(device, gpu_layers)).unwrap()
    };
    Some(Subject { gpu, model, load: Box::new(load) })
}

fn prompt(seed: u32) -> Vec<u32> {
    (0..37).map(|i| (i * 29 + seed) % 256).collect()
}

/// Where tokens are chosen on the device, greedily and not, and where they are chosen here.
fn ways() -> [GenerateOptions; 3] {
    let sampled = SamplingOptions { temperature: 1.0, top_k: 20, seed: Some(7), ..SamplingOptions::default() };
    let of = |sampling, logprobs| GenerateOptions {
        sampling,
        logprobs,
        max_tokens: Some(40),
        ignore_end: true,
        ..GenerateOptions::default()
    };
    [of(SamplingOptions::greedy(), None), of(sampled.clone(), None), of(sampled, Some(0))]
}

/// The tokens of a whole answer, or what it ended with instead.
fn answer(session: &mut Session, prompt: &[u32], options: &GenerateOptions) -> Result<Vec<u32>, Error> {
    let mut generation = session.generate(prompt, options.clone())?;
    let tokens = generation.by_ref().map(|piece| Ok(piece?.token.unwrap())).collect::<Result<_, Error>>()?;
    assert_eq!(generation.finish_reason(), Some(FinishReason::Length));
    Ok(tokens)
}

/// Loses the device after some tokens of an answer, which must be told in time.
fn lose_in_mid_answer(gpu: &Gpu, session: &mut Session, options: &GenerateOptions, after: usize) {
    let mut generation = session.generate(&prompt(5), options.clone()).unwrap();
    assert!(generation.by_ref().take(after).all(|piece| piece.is_ok()));
    gpu.lose();
    let lost = Instant::now();
    let error = generation.by_ref().find_map(Result::err).expect("the device is lost");
    assert!(lost.elapsed() < TOLD, "told after {:?}", lost.elapsed());
    let is_loss = matches!(&error, Error::Run(error) if matches!(**error, BackendError::DeviceLost { .. }));
    assert!(is_loss && error.is_retryable(), "{error:?}");
    assert!(generation.next().is_none() && generation.finish_reason().is_none());
}

fn layers_on_gpu(model: &Model) -> usize {
    model.shares().iter().filter(|share| share.is_gpu).map(|share| share.layers.len()).sum()
}

/// The warnings of all threads from now on: the engine's thread is not the test's.
fn warnings() -> Lines {
    let lines = Lines::default();
    let written = lines.clone();
    let log = tracing_subscriber::fmt().with_max_level(Level::WARN).with_ansi(false);
    tracing::subscriber::set_global_default(log.with_writer(move || written.clone()).finish()).unwrap();
    lines
}

#[test]
fn an_answer_that_is_cut_off_can_be_asked_for_again_and_others_do_not_notice() {
    let Some(Subject { gpu, model, .. }) = subject("gemma3") else { return };
    let (mut session, mut other) = (model.session(), model.session());
    let expected = ways().map(|options| answer(&mut session, &prompt(5), &options).unwrap());
    let others = answer(&mut other, &prompt(11), &ways()[0]).unwrap();
    let used = gpu.memory().used;
    for loss in 0..20 {
        let (options, expected) = (&ways()[loss % 3], &expected[loss % 3]);
        lose_in_mid_answer(&gpu, &mut session, options, 1 + loss % 5);
        assert_eq!(answer(&mut session, &prompt(5), options).unwrap(), *expected, "after loss {loss}");
        assert_eq!(answer(&mut other, &prompt(11), &ways()[0]).unwrap(), others, "after loss {loss}");
        let now = gpu.memory().used;
        assert!(now <= used + AHEAD_BYTES, "{now} bytes after loss {loss}, {used} before");
    }
    assert_eq!(layers_on_gpu(&model), model.hyper_params().n_layers);
}

#[test]
fn a_loss_between_answers_is_nobodys_error() {
    let Some(Subject { gpu, model, .. }) = subject("gemma3") else { return };
    let mut session = model.session();
    for options in ways() {
        let expected = answer(&mut session, &prompt(5), &options).unwrap();
        gpu.lose();
        let mut generation = session.generate(&prompt(5), options).unwrap();
        let found: Vec<u32> = generation.by_ref().map(|piece| piece.unwrap().token.unwrap()).collect();
        assert_eq!(found, expected);
        assert_eq!(generation.usage().cached_tokens, 0, "all of it ran again");
    }
}

#[test]
fn a_loss_that_several_share_is_told_to_each() {
    let Some(Subject { gpu, model, .. }) = subject("llama") else { return };
    let options = &ways()[0];
    let expected: Vec<_> = (0..3).map(|i| answer(&mut model.session(), &prompt(i), options).unwrap()).collect();
    let losing = gpu.clone();
    let lose = thread::spawn(move || {
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(30));
            losing.lose();
        }
    });
    thread::scope(|scope| {
        for (i, expected) in expected.iter().enumerate() {
            let mut session = model.session();
            scope.spawn(move || {
                for _ in 0..20 {
                    match answer(&mut session, &prompt(i as u32), options) {
                        Ok(found) => assert_eq!(found, *expected),
                        Err(error) => assert!(error.is_retryable(), "{error}"),
                    }
                }
                assert_eq!(answer(&mut session, &prompt(i as u32), options).unwrap(), *expected);
            });
        }
    });
    lose.join().unwrap();
}

#[test]
fn losses_in_a_row_leave_the_gpu_less_and_at_last_nothing() {
    let Some(Subject { gpu, model, load }) = subject("gemma3") else { return };
    let log = warnings();
    let mut session = model.session();
    let options = &ways()[0];
    let mut lose_three_times = || (0..3).for_each(|_| lose_in_mid_answer(&gpu, &mut session, options, 1));

    lose_three_times();
    let found = answer(&mut model.session(), &prompt(5), options).unwrap();
    let layers = layers_on_gpu(&model);
    assert!(layers > 0 && layers < 7 && model.device().contains("cpu-"), "{:?}", model.shares());
    let warning = format!("before=7 now={layers}");
    assert!(log.text().contains(&warning), "{} lacks {warning}", log.text());
    let split = load(Device::Gpu, GpuLayers::Exactly(layers));
    assert_eq!(found, answer(&mut split.session(), &prompt(5), options).unwrap());

    // An answer came to its end, so that it is halved again and again.
    let mut n_losses = 3;
    while layers_on_gpu(&model) > 0 {
        lose_three_times();
        n_losses += 3;
        assert!(n_losses <= 12, "{:?}", model.shares());
        answer(&mut model.session(), &prompt(5), options).unwrap();
    }
    assert!(model.device().starts_with("cpu-"), "{}", model.device());
    let cpu = load(Device::Cpu, GpuLayers::Auto);
    let expected = answer(&mut cpu.session(), &prompt(5), options).unwrap();
    assert_eq!(gpu.memory().used, 0);
    gpu.lose();
    assert_eq!(answer(&mut model.session(), &prompt(5), options).unwrap(), expected);
    assert_eq!(model.memory(), cpu.memory());
}

#[test]
fn a_gpu_that_cannot_be_filled_again_gets_what_fits() {
    let Some(Subject { gpu, model, load }) = subject("gemma3") else { return };
    let mut session = model.session();
    for (limit, fits) in [(gpu.memory().used * 2 / 3, true), (0, false)] {
        lose_in_mid_answer(&gpu, &mut session, &ways()[0], 2);
        // What was opened again takes the limit over.
        gpu.limit_memory(Some(limit));
        let found = answer(&mut session, &prompt(5), &ways()[0]).unwrap();
        let layers = layers_on_gpu(&model);
        assert!(layers < 7 && (layers > 0) == fits, "{:?}", model.shares());
        assert!(gpu.memory().used <= limit);
        let device = if fits { Device::Gpu } else { Device::Cpu };
        let same = load(device, GpuLayers::Exactly(layers));
        assert_eq!(found, answer(&mut same.session(), &prompt(5), &ways()[0]).unwrap());
    }
}
