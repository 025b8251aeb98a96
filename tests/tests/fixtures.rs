//! Makers' checkpoints, converted and run, against the makers' own classes.

use std::ops::ControlFlow;
use std::path::PathBuf;

use silhak::{ChatOptions, Device, GenerateOptions, LoadOptions, Message, Model, SamplingOptions};
use silhak_convert::{Mix, Options, Report, convert};
use silhak_gpu::GpuOptions;
use silhak_tests::fixtures::{self, Fixture};
use silhak_tests::gpu::open_or_skip;
use tempfile::TempDir;

/// A fixture as a file.
struct Converted {
    fixture: Fixture,
    folder: TempDir,
}

impl Converted {
    fn new(fixture: Fixture, mix: Mix) -> Self {
        let converted = Converted { folder: tempfile::tempdir().unwrap(), fixture };
        converted.convert(mix);
        converted
    }

    fn convert(&self, mix: Mix) -> Report {
        let options = Options { mix: Some(mix), ..Options::default() };
        convert(&self.fixture.folder, &self.path(), &options, &mut |_| ControlFlow::Continue(())).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("model.gguf")
    }

    fn load(&self, change: impl FnOnce(&mut LoadOptions)) -> Model {
        let mut options = LoadOptions { n_ctx: Some(512), ..LoadOptions::default() };
        change(&mut options);
        Model::load(self.path(), options).unwrap()
    }

    /// How far logits are from the golden ones, relative to the largest.
    fn distance(&self, logits: &[f32]) -> f32 {
        let Fixture { ids, columns, logits: golden, last, scale, .. } = &self.fixture;
        let n_vocab = last.len();
        assert_eq!(logits.len(), ids.len() * n_vocab);
        let rows = logits.chunks_exact(n_vocab);
        let found = rows
            .flat_map(|row| columns.iter().map(|&column| row[column]))
            .chain(logits[logits.len() - n_vocab..].iter().copied());
        let expected = golden.iter().chain(last);
        let differences = found.zip(expected).map(|(found, &expected)| (found - expected).abs());
        // A NaN must not vanish in `max`.
        differences.map(|d| if d.is_nan() { f32::INFINITY } else { d }).fold(0.0, f32::max) / scale
    }
}

fn all(mix: Mix) -> impl Iterator<Item = Converted> {
    fixtures::all().unwrap().into_iter().map(move |fixture| Converted::new(fixture, mix))
}

/// The CPU, and the GPU where there is one.
fn devices() -> Vec<Device> {
    let gpu = open_or_skip(&GpuOptions::default()).map(|_| Device::Gpu);
    [Device::Cpu].into_iter().chain(gpu).collect()
}

fn greedy(model: &Model, prompt: &[u32], n: usize) -> Vec<u32> {
    let options = GenerateOptions {
        sampling: SamplingOptions::greedy(),
        max_tokens: Some(n),
        ignore_end: true,
        ..GenerateOptions::default()
    };
    model.session().generate(prompt, options).unwrap().filter_map(|piece| piece.unwrap().token).collect()
}

/// In float32, whatever way the tokens come in: all at once, one by one, or in batches that windows do not divide.
#[test]
fn the_logits_are_those_of_the_makers_classes() {
    for model in all(Mix::F32) {
        let engine = model.load(|o| o.device = Device::Reference);
        for n_batch in [300, 1, 37] {
            let distance = model.distance(&engine.logits(&model.fixture.ids, n_batch).unwrap());
            println!("{} in batches of {n_batch}: {distance:.1e}", model.fixture.name);
            assert!(distance <= 1e-4, "{} in batches of {n_batch}: {distance:.1e}", model.fixture.name);
        }
    }
}

/// The converted tokenizer and template make the prompt that the maker's tokenizer made.
#[test]
fn prompts_are_those_of_the_makers_tokenizers() {
    for model in all(Mix::Bf16) {
        let Some(answer) = &model.fixture.answer else { continue };
        let engine = model.load(|o| o.device = Device::Cpu);
        let prompt = engine.chat_prompt(&[Message::user("헌법 제5조")], &ChatOptions::default()).unwrap();
        assert_eq!(prompt, answer.prompt, "{}", model.fixture.name);
    }
}

/// The kernels round activations to 8 bits, and a trained model's logits are far enough apart for it.
#[test]
fn trained_models_give_the_answers_of_the_makers_classes() {
    for (mix, most_distance) in [(Mix::F32, 0.05), (Mix::Q8_0, 0.05), (Mix::Q4_0, 0.3)] {
        for model in all(mix) {
            let Some(answer) = &model.fixture.answer else { continue };
            let name = &model.fixture.name;
            for device in devices() {
                let engine = model.load(|o| o.device = device);
                let distance = model.distance(&engine.logits(&model.fixture.ids, 64).unwrap());
                println!("{name} {mix} on {device}: {distance:.1e}; the smallest lead is {}", answer.margin);
                assert!(distance <= most_distance, "{name} {mix} on {device}: {distance:.1e}");
                assert_eq!(
                    greedy(&engine, &answer.prompt, answer.tokens.len()),
                    answer.tokens,
                    "{name} {mix} on {device}"
                );
            }
        }
    }
}
