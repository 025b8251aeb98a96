//! The arguments of the verbs that open or run a model.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{BoolishValueParser, PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use silhak::cpu::Isa;
use silhak::{Device, GpuLayers, KvElement, SamplingOptions};

use super::ConsentArgs;
use super::size::parse_bytes;
use crate::thinking::Think;

#[derive(Debug, Clone, Args)]
pub(crate) struct DeviceArgs {
    /// What runs the model
    #[arg(long, env = "SILHAK_DEVICE", default_value = "auto", value_parser = device_parser())]
    pub(crate) device: Device,

    /// Part of the GPU's name, as `doctor` lists them; by default the first
    #[arg(long, env = "SILHAK_ADAPTER", value_name = "NAME")]
    pub(crate) adapter: Option<String>,

    /// Layers on the GPU, from the last one on: `auto` (as many as fit), `all`, or a number
    #[arg(long, env = "SILHAK_GPU_LAYERS", value_name = "N", default_value = "auto",
          value_parser = |text: &str| text.parse::<GpuLayers>())]
    pub(crate) gpu_layers: GpuLayers,

    /// Most of the GPU's memory to use, such as 8GiB; by default nine tenths of it
    #[arg(long, env = "SILHAK_GPU_MEMORY", value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) gpu_memory: Option<u64>,

    /// How keys and values are stored: in q8_0 a context takes little more than half of the memory, and small models answer
    /// noticeably worse [default: f16]
    #[arg(long, env = "SILHAK_KV", value_parser = kv_parser())]
    pub(crate) kv: Option<KvElement>,

    /// CPU threads; by default one per physical core
    #[arg(long, env = "SILHAK_THREADS", value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,

    /// Best instruction set that CPU kernels may use; by default the best that the processor has
    #[arg(long, env = "SILHAK_ISA", value_parser = isa_parser())]
    pub(crate) isa: Option<Isa>,

    /// Use the CPU's weights where they lie in the mapped file, which is slower; by default they are repacked in memory where
    /// there is enough of it
    #[arg(long, env = "SILHAK_NO_REPACK", value_parser = BoolishValueParser::new())]
    pub(crate) no_repack: bool,

    /// Keep repacked weights in a folder, in a file as large as they are, so that the next load has them at once
    #[arg(long, env = "SILHAK_PANEL_CACHE", value_name = "FOLDER", conflicts_with = "no_repack")]
    pub(crate) panel_cache: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct EngineArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    /// Context length in tokens; by default 4096, or what the model was trained on if that is less
    #[arg(long, env = "SILHAK_CTX", value_name = "N", value_parser = at_least_one())]
    pub(crate) ctx: Option<usize>,

    #[command(flatten)]
    pub(crate) pre: PreArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PreArgs {
    /// Pre-tokenizer to use in place of the one that the file names
    #[arg(long, env = "SILHAK_PRE", value_name = "NAME")]
    pub(crate) pre: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SamplingArgs {
    /// Randomness: 0 always takes the most likely token [default: what the model's maker recommends, else 0.7]
    #[arg(long, env = "SILHAK_TEMP", value_name = "T", allow_negative_numbers = true,
          value_parser = within(SamplingOptions::TEMPERATURE))]
    pub(crate) temp: Option<f32>,

    /// Choose among the K most likely tokens; 0 is all [default: recommended, else 40]
    #[arg(long, env = "SILHAK_TOP_K", value_name = "K")]
    pub(crate) top_k: Option<usize>,

    /// Choose among the fewest tokens that have P of the probability; 1 is all [default: recommended, else 0.95]
    #[arg(long, env = "SILHAK_TOP_P", value_name = "P", allow_negative_numbers = true,
          value_parser = within(SamplingOptions::PROBABILITY))]
    pub(crate) top_p: Option<f32>,

    /// Choose among tokens at least P times as likely as the most likely one; 0 is all [default: recommended, else 0.05]
    #[arg(long, env = "SILHAK_MIN_P", value_name = "P", allow_negative_numbers = true,
          value_parser = within(SamplingOptions::PROBABILITY))]
    pub(crate) min_p: Option<f32>,

    /// Make tokens of the prompt and the answer less likely; 1 changes nothing [default: recommended, else 1]
    #[arg(long, env = "SILHAK_REPEAT_PENALTY", value_name = "X", allow_negative_numbers = true,
          value_parser = within(SamplingOptions::FACTOR))]
    pub(crate) repeat_penalty: Option<f32>,

    /// Make tokens of the answer less likely with each use
    #[arg(long, env = "SILHAK_FREQUENCY_PENALTY", value_name = "X", allow_negative_numbers = true,
          value_parser = within(SamplingOptions::PENALTY),
          default_value_t = SamplingOptions::default().frequency_penalty)]
    pub(crate) frequency_penalty: f32,

    /// Make tokens of the answer less likely, once [default: recommended, else 0]
    #[arg(long, env = "SILHAK_PRESENCE_PENALTY", value_name = "X", allow_negative_numbers = true,
          value_parser = within(SamplingOptions::PENALTY))]
    pub(crate) presence_penalty: Option<f32>,

    /// The same seed gives the same text; by default the clock's
    #[arg(long, env = "SILHAK_SEED", value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Most tokens of an answer; by default as many as the context holds
    #[arg(long, env = "SILHAK_MAX_TOKENS", value_name = "N")]
    pub(crate) max_tokens: Option<usize>,

    /// Text that ends the answer and is not part of it; may be given several times
    #[arg(long, env = "SILHAK_STOP", value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Name in the store or the catalogue, or path of a .gguf file
    pub(crate) model: String,

    /// What to say to the model. Text that is piped in comes after it. Without either, a chat begins
    pub(crate) prompt: Option<String>,

    /// An instruction that the whole conversation stands under
    #[arg(long, env = "SILHAK_SYSTEM", value_name = "TEXT")]
    pub(crate) system: Option<String>,

    /// Continue the text as it is, without the model's chat template
    #[arg(long)]
    pub(crate) raw: bool,

    /// Whether the model shall think before it answers
    #[arg(long, env = "SILHAK_THINK", value_enum, default_value_t)]
    pub(crate) think: Think,

    /// Tell speed and memory on stderr
    #[arg(long)]
    pub(crate) stats: bool,

    /// Print the answer and how it came about as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenizeArgs {
    /// Name in the store, or path of a .gguf file
    pub(crate) model: String,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Begin with the model's first token (BOS), if it uses one
    #[arg(long)]
    pub(crate) bos: bool,

    /// Take control tokens spelled in the text for what they spell
    #[arg(long)]
    pub(crate) special: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) pre: PreArgs,
}

/// A text: given, in a file, or on stdin.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// The text; without it and --file, stdin
    #[arg(conflicts_with = "file")]
    pub(crate) text: Option<String>,

    /// Read the text from a file
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PerplexityArgs {
    /// Name in the store, or path of a .gguf file
    pub(crate) model: String,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Score the first N tokens; by default as many as the context holds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) tokens: Option<u32>,

    /// Compare with the model that this one was made from: tells what quantization lost
    #[arg(long, value_name = "SOURCE")]
    pub(crate) against: Option<String>,

    /// Print JSON, with the score of each token
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Name in the store, or path of a .gguf file
    pub(crate) model: String,

    /// Tokens to read at once in each repetition; 0 leaves reading out
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) prefill: usize,

    /// Tokens to write one by one in each repetition; 0 leaves writing out
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) decode: usize,

    /// Tokens that the context holds before each measurement
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) depth: usize,

    /// Repetitions
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = repetitions())]
    pub(crate) reps: u32,

    /// Time each kernel on the GPU; the whole is slower then
    #[arg(long)]
    pub(crate) profile: bool,

    /// Print JSON, with every sample
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

fn device_parser() -> impl TypedValueParser<Value = Device> {
    PossibleValuesParser::new(Device::ALL.map(|(_, name)| name)).try_map(|name| name.parse::<Device>())
}

fn kv_parser() -> impl TypedValueParser<Value = KvElement> {
    PossibleValuesParser::new(KvElement::ALL.map(KvElement::name)).try_map(|name| name.parse::<KvElement>())
}

fn isa_parser() -> impl TypedValueParser<Value = Isa> {
    PossibleValuesParser::new(Isa::ALL.iter().map(|isa| isa.name())).try_map(|name| name.parse::<Isa>())
}

/// A number in a range, which no NaN is.
fn within(range: RangeInclusive<f32>) -> impl TypedValueParser<Value = f32> {
    move |text: &str| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
    }
}

/// A number of tokens of which there must be some.
pub(super) fn at_least_one() -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(1..)
}

fn repetitions() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}
