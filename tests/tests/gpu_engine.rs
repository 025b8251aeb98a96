//! The engine on a GPU that chooses tokens itself: the text is that of choosing here, and a session that was ahead of its
//! reader goes on as if it had not been.

use std::thread;

use silhak::{Device, FinishReason, GenerateOptions, LoadOptions, Model, SamplingOptions, Session};
use silhak_gpu::GpuOptions;
use silhak_tests::gpu::open_or_skip;
use silhak_tests::tiny::Tiny;

const N_CTX: usize = 120;

fn model(architecture: &'static str) -> Option<Model> {
    open_or_skip(&GpuOptions::default())?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    Tiny::new(architecture).write(&path).unwrap();
    let options = LoadOptions {
        device: Device::Gpu,
        n_ctx: Some(N_CTX),
        sequences: 3,
        max_batch: 16,
        page_len: 16,
        ..LoadOptions::default()
    };
    Some(Model::load(path, options).unwrap())
}

fn sampled(seed: u64) -> SamplingOptions {
    SamplingOptions { temperature: 1.0, top_k: 20, seed: Some(seed), ..SamplingOptions::default() }
}

fn prompt() -> Vec<u32> {
    (0..37).map(|i| (i * 29 + 5) % 256).collect()
}

fn options(sampling: &SamplingOptions, max_tokens: Option<usize>) -> GenerateOptions {
    GenerateOptions { sampling: sampling.clone(), max_tokens, ignore_end: true, ..GenerateOptions::default() }
}

/// The tokens of an answer, and why it ended.
fn answer(session: &mut Session, prompt: &[u32], options: GenerateOptions) -> (Vec<u32>, FinishReason) {
    let mut generation = session.generate(prompt, options).unwrap();
    let tokens = generation.by_ref().filter_map(|piece| piece.unwrap().token).collect();
    (tokens, generation.finish_reason().unwrap())
}

/// Who wants log-probabilities gets the logits, and the token is chosen here.
fn waiting(options: GenerateOptions) -> GenerateOptions {
    GenerateOptions { logprobs: Some(0), ..options }
}

#[test]
fn the_text_is_that_of_choosing_here() {
    for architecture in ["llama", "gemma3"] {
        let Some(model) = model(architecture) else { return };
        for sampling in [SamplingOptions::greedy(), sampled(1), sampled(2)] {
            for max_tokens in [Some(1), Some(2), Some(3), Some(40), None] {
                let options = options(&sampling, max_tokens);
                let expected = answer(&mut model.session(), &prompt(), waiting(options.clone()));
                let found = answer(&mut model.session(), &prompt(), options);
                assert_eq!(found, expected, "{architecture} {sampling:?}");
                assert_eq!(found.0.len(), max_tokens.unwrap_or(N_CTX - prompt().len() + 1));
            }
        }
    }
}

#[test]
fn a_session_goes_on_after_an_answer_that_was_cut_off() {
    let Some(model) = model("gemma3") else { return };
    let mut session = model.session();
    let long = options(&SamplingOptions::greedy(), None);
    let whole = answer(&mut model.session(), &prompt(), long.clone()).0;
    for n in [1, 2, 5, 30] {
        let mut generation = session.generate(&prompt(), long.clone()).unwrap();
        let begun: Vec<u32> = generation.by_ref().take(n).map(|piece| piece.unwrap().token.unwrap()).collect();
        drop(generation);
        assert_eq!(begun, whole[..n]);
        let longer: Vec<u32> = prompt().into_iter().chain(begun).collect();
        let mut generation = session.generate(&longer, options(&SamplingOptions::greedy(), Some(7))).unwrap();
        let more: Vec<u32> = generation.by_ref().map(|piece| piece.unwrap().token.unwrap()).collect();
        assert_eq!(more, whole[n..n + 7]);
        assert!(generation.usage().cached_tokens >= longer.len() - 1, "{:?}", generation.usage());
    }
}

#[test]
fn users_who_share_batches_do_not_disturb_each_other() {
    let Some(model) = model("llama") else { return };
    let prompts: Vec<Vec<u32>> = (0..3).map(|i| prompt().into_iter().skip(i).collect()).collect();
    let run = |prompt: &[u32]| answer(&mut model.session(), prompt, options(&SamplingOptions::greedy(), Some(30)));
    let alone: Vec<_> = prompts.iter().map(|prompt| run(prompt)).collect();
    let together: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = prompts.iter().map(|prompt| scope.spawn(|| run(prompt))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(together, alone);
}
