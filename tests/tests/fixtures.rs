//! Makers' checkpoints, converted and run, against the makers' own classes.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use silhak::{
    ChatOptions, Device, GenerateOptions, InputSquares, LoadOptions, Message, Model, ModelFile, Piece, ReasoningTags,
    SamplingOptions, Special,
};
use silhak_convert::{Mix, Options, Report, convert};
use silhak_gpu::GpuOptions;
use silhak_ops::reference::Reference;
use silhak_ops::{Backend, Batch, ExecConfig, KvConfig, KvElement, Op, Page, ValueId};
use silhak_tests::Distance;
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

    /// How much farther the logits may be than those of a dense model: an error of rounding can turn the choice of a token's
    /// experts.
    fn tolerance(&self) -> f32 {
        let plan = ModelFile::open(self.path()).unwrap().model().plan().clone();
        if plan.ops().iter().any(|op| matches!(op, Op::Route { .. })) { 4.0 } else { 1.0 }
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

/// A part of what a trained model says, as if it were marked as thinking.
#[test]
fn thinking_is_parted_from_the_answer() {
    let model = all(Mix::Bf16).find(|model| model.fixture.name == "exaone4").unwrap();
    let engine = model.load(|o| o.device = Device::Cpu);
    let prompt = engine.chat_prompt(&[Message::user("헌법 제5조")], &ChatOptions::default()).unwrap();
    let generate = |prompt: &[u32], tags: Option<ReasoningTags>, max_tokens: usize, stop: &[&str]| {
        let options = GenerateOptions {
            sampling: SamplingOptions::greedy(),
            max_tokens: Some(max_tokens),
            stop: stop.iter().map(|&text| text.to_owned()).collect(),
            reasoning: tags,
            ..GenerateOptions::default()
        };
        let mut session = engine.session();
        let mut generation = session.generate(prompt, options).unwrap();
        let pieces: Vec<_> = generation.by_ref().map(|piece| piece.unwrap()).collect();
        let part = |part: fn(&Piece) -> &str| pieces.iter().map(part).collect::<String>();
        (part(|piece| &piece.reasoning), part(|piece| &piece.text), generation.is_thinking())
    };
    let (_, whole, _) = generate(&prompt, None, 200, &[]);
    let (first, second) = whole.strip_prefix('①').unwrap().split_once('②').unwrap();
    let tags = Some(ReasoningTags { open: "①", close: "②", answer: "" });
    assert_eq!(generate(&prompt, tags, 200, &[]), (first.to_owned(), second.to_owned(), false));
    // A stop string counts in the answer alone; both paragraphs begin with a word that stands there.
    let (reasoning, answer, _) = generate(&prompt, tags, 200, &["국"]);
    assert_eq!((reasoning.as_str(), answer.as_str()), (first, ""));
    let (reasoning, answer, is_thinking) = generate(&prompt, tags, 12, &[]);
    assert!(first.starts_with(&reasoning) && !reasoning.is_empty() && answer.is_empty() && is_thinking);
    // A prompt that opens the thinking.
    let mut open = prompt.clone();
    open.extend(engine.tokenizer().encode("①", Special::Ignore));
    assert_eq!(generate(&open, tags, 200, &[]), (first.to_owned(), second.to_owned(), false));
}

/// The kernels round activations to 8 bits and formats lose more, and a trained model's logits are far enough apart for it.
#[test]
fn trained_models_give_the_answers_of_the_makers_classes() {
    for (mix, most_distance) in [(Mix::F32, 0.05), (Mix::Q8_0, 0.05), (Mix::Q4_0, 0.5)] {
        for model in all(mix) {
            let Some(answer) = &model.fixture.answer else { continue };
            let name = &model.fixture.name;
            let most_distance = most_distance * model.tolerance();
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

#[test]
fn keys_and_values_in_8_bits_change_no_answer_of_a_trained_model() {
    for model in all(Mix::Q8_0) {
        let Some(answer) = &model.fixture.answer else { continue };
        let file = ModelFile::open(model.path()).unwrap();
        if file.model().plan().kv_layers().iter().any(|layer| !layer.head_dim.is_multiple_of(32)) {
            continue;
        }
        for device in devices() {
            let engine = model.load(|o| (o.device, o.kv_element) = (device, Some(KvElement::Q8_0)));
            let distance = model.distance(&engine.logits(&model.fixture.ids, 64).unwrap());
            println!("{} on {device}: {distance:.1e}", model.fixture.name);
            assert!(distance <= 0.1 * model.tolerance(), "{} on {device}: {distance:.1e}", model.fixture.name);
            let found = greedy(&engine, &answer.prompt, answer.tokens.len());
            assert_eq!(found, answer.tokens, "{} on {device}", model.fixture.name);
        }
    }
}

/// What meets each matrix over a text, against the scalar reference, whatever the lengths of chunks.
#[test]
fn the_squares_of_inputs_are_those_of_the_reference() {
    for model in all(Mix::F32).filter(|model| model.fixture.answer.is_none()) {
        let file = ModelFile::open(model.path()).unwrap();
        let ids = &model.fixture.ids;
        let chunks = [&ids[..100], &ids[100..137], &ids[137..]];
        let found = file.input_squares(&chunks, &LoadOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        let expected = squares_by_the_reference(&file, &chunks);
        assert_eq!(found.len(), expected.len());
        for InputSquares { tensor, sums, counts } in &expected {
            let found = found.iter().find(|squares| squares.tensor == *tensor).unwrap();
            assert_eq!(found.counts, *counts, "{} {tensor}", model.fixture.name);
            let distance = Distance::between(&found.sums, sums);
            assert!(distance.max <= 1e-4, "{} {tensor}: {distance:?}", model.fixture.name);
        }
    }
}

fn squares_by_the_reference(file: &ModelFile, chunks: &[&[u32]]) -> Vec<InputSquares> {
    let plan = file.model().plan();
    let linears = plan.ops().iter().filter_map(|op| match *op {
        Op::Linear { x, weight, .. } => Some((x, weight, x, 1)),
        Op::HeadLinear { x, weight, n_heads, .. } => Some((x, weight, x, n_heads)),
        Op::ExpertLinear { x, weight, chosen, n_experts, .. } => Some((x, weight, chosen, n_experts)),
        _ => None,
    });
    let linears: Vec<_> = linears.filter(|linear| plan.weight(linear.1).name.starts_with("blk.")).collect();
    let values = values_by_the_reference(file, chunks, linears.iter().flat_map(|linear| [linear.0, linear.2]));
    let n_tokens = chunks.iter().map(|chunk| chunk.len()).sum::<usize>();
    let squares = linears.iter().zip(values.chunks_exact(2)).map(|(&(x, weight, chosen, n_matrices), values)| {
        let n_in = plan.weight(weight).cols;
        let (mut sums, mut counts) = (vec![0.0; n_matrices * n_in], vec![0; n_matrices]);
        let width = values[0].len() / n_tokens;
        for (row, choice) in values[0].chunks(width).zip(values[1].chunks(values[1].len() / n_tokens)) {
            let experts = &choice[..choice.len() / 2];
            let matrices: Vec<usize> = match chosen == x {
                true => (0..n_matrices).collect(),
                false => experts.iter().map(|&expert| expert as usize).collect(),
            };
            for (part, matrix) in matrices.into_iter().enumerate() {
                let start = if width == n_in { 0 } else { part * n_in };
                (0..n_in).for_each(|i| sums[matrix * n_in + i] += row[start + i] * row[start + i]);
                counts[matrix] += 1;
            }
        }
        InputSquares { tensor: plan.weight(weight).name.clone(), sums, counts }
    });
    squares.collect()
}

/// The values in all chunks, one chunk behind the other.
fn values_by_the_reference(
    file: &ModelFile,
    chunks: &[&[u32]],
    values: impl Iterator<Item = ValueId>,
) -> Vec<Vec<f32>> {
    let plan = Arc::new(file.model().plan().with_outputs(values));
    let n_groups = plan.kv_groups().len();
    let kv = KvConfig { page_len: 512, n_pages: vec![1; n_groups], element: KvElement::F32 };
    let config = ExecConfig { kv, max_tokens: 512, max_outputs: 1 };
    let reference = Reference { quantize_activations: false };
    let mut executor = reference.prepare(&plan, file.model().weights(), &config).unwrap();
    let mut all = vec![Vec::new(); plan.outputs().len() - 1];
    for chunk in chunks {
        let mut batch = Batch::new();
        let sequence = batch.add_sequence(vec![vec![Some(Page(0))]; n_groups]);
        chunk.iter().zip(0..).for_each(|(&token, position)| batch.add_token(sequence, token, position, false));
        let mut outputs = vec![Vec::new(); plan.outputs().len()];
        executor.run(&batch, &[], &mut outputs).unwrap();
        all.iter_mut().zip(&outputs[1..]).for_each(|(all, values)| all.extend(values));
    }
    all
}
