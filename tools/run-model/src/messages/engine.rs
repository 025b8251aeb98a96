//! What the verbs of the engine say, and the engine's errors in Korean; their English is their own.

use std::io;

use silhak::{BackendError, Error, GpuError, ModelError, TokenizerError, gguf};

use super::Lang::{self, En, Ko};
use crate::output::bytes;

/// What `--stats` tells of an answer; what is not known is left out.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// What runs the model.
    pub(crate) device: String,
    pub(crate) load_s: Option<f64>,
    pub(crate) first_token_s: Option<f64>,
    /// Tokens of the prompt that had to be read.
    pub(crate) prompt_tokens: usize,
    pub(crate) prefill_tps: Option<f64>,
    pub(crate) completion_tokens: usize,
    pub(crate) decode_tps: Option<f64>,
    pub(crate) peak_rss: Option<u64>,
}

/// An engine error as a sentence, or several, in the user's language.
pub(crate) fn error(lang: Lang, error: &Error) -> String {
    match (lang, error) {
        (En, Error::Option { option, expected, found }) => {
            format!("{}: expected {expected}, found {found}", flag(option))
        }
        (En, _) => error.to_string(),
        (Ko, _) => korean(error),
    }
}

impl Lang {
    pub(crate) fn loading(self) -> &'static str {
        match self {
            Ko => "불러오는 중",
            En => "loading",
        }
    }

    pub(crate) fn no_template(self) -> &'static str {
        match self {
            Ko => "이 모델에는 대화 틀이 없어, 대화하지 않고 주신 글을 이어서 씁니다.",
            En => "This model has no chat template: it continues your text instead of answering it.",
        }
    }

    pub(crate) fn system_needs_template(self) -> &'static str {
        match self {
            Ko => "--system은 대화 틀이 있어야 쓸 수 있습니다. --raw 없이, 대화용(Instruct) 모델로 실행해 주십시오.",
            En => "--system needs a chat template; use a chat (instruct) model, without --raw",
        }
    }

    pub(crate) fn no_prompt(self) -> &'static str {
        match self {
            Ko => "입력이 없습니다. 모델 이름 뒤에 질문을 적거나 표준 입력으로 넣어 주십시오.",
            En => "there is no prompt; give one after the model's name, or pipe one in",
        }
    }

    /// `what` is a file or stdin, as the user knows it.
    pub(crate) fn cannot_read_text(self, what: &str, error: &io::Error) -> String {
        match (self, error.kind()) {
            (Ko, io::ErrorKind::NotFound) => format!("'{what}' 파일이 없습니다. 경로를 확인해 주십시오."),
            (En, io::ErrorKind::NotFound) => format!("there is no file at '{what}'; check the path"),
            (Ko, io::ErrorKind::InvalidData) => format!(
                "{what}의 글이 UTF-8이 아닙니다. 먼저 UTF-8로 바꿔 주십시오. 예: iconv -f CP949 -t UTF-8 파일 > 새파일"
            ),
            (En, io::ErrorKind::InvalidData) => format!(
                "the text of {what} is not UTF-8; convert it first, for example with: iconv -f CP949 -t UTF-8 FILE > NEW"
            ),
            (Ko, _) => format!("{what}을(를) 읽을 수 없습니다({error}). 읽을 수 있는 파일인지 확인해 주십시오."),
            (En, _) => format!("{what} cannot be read ({error}); check that it is a file that you may read"),
        }
    }

    pub(crate) fn stdin(self) -> &'static str {
        match self {
            Ko => "표준 입력",
            En => "stdin",
        }
    }

    pub(crate) fn text_too_short(self, found: usize, needed: usize) -> String {
        match self {
            Ko => {
                format!("글이 토큰 {found}개뿐입니다. {needed}개가 되는 더 긴 글을 주시거나 --tokens를 줄여 주십시오.")
            }
            En => format!("the text has {found} tokens and {needed} are needed; give a longer one, or lower --tokens"),
        }
    }

    pub(crate) fn score_heads(self) -> [&'static str; 3] {
        match self {
            Ko => ["토큰", "평균 음의 로그 우도 (nat)", "혼란도"],
            En => ["tokens", "mean negative log-likelihood (nat)", "perplexity"],
        }
    }

    /// The source's perplexity, the divergence from it, the same first choices, and how these are told.
    pub(crate) fn divergence_heads(self) -> [&'static str; 3] {
        match self {
            Ko => ["원본의 혼란도", "원본에 대한 쿨백-라이블러 발산 (nat)", "첫 선택이 같은 비율"],
            En => ["perplexity of the source", "KL divergence from the source (nat)", "same first choice"],
        }
    }

    pub(crate) fn bench_heads(self) -> [&'static str; 5] {
        match self {
            Ko => ["장치", "읽기", "쓰기", "불러오기", "최대 메모리"],
            En => ["device", "prefill", "decode", "load", "peak memory"],
        }
    }

    pub(crate) fn profile_heads(self) -> [&'static str; 6] {
        match self {
            Ko => ["커널", "호출", "비율", "한 번", "가중치", "메모리 대역폭 대비"],
            En => ["kernel", "calls", "share", "each", "weights", "of the memory's bandwidth"],
        }
    }

    pub(crate) fn profile_of(self, what: &str, seconds: f64, bandwidth: Option<f64>) -> String {
        let total = 1e3 * seconds;
        let memory = bandwidth.map_or(String::new(), |bandwidth| match self {
            Ko => format!("; 메모리는 초당 {} 읽기", bytes(bandwidth as u64)),
            En => format!("; the memory reads {}/s", bytes(bandwidth as u64)),
        });
        match self {
            Ko => format!("{what}: 커널이 모두 {total:.2} ms{memory}"),
            En => format!("{what}: {total:.2} ms in kernels{memory}"),
        }
    }

    pub(crate) fn no_profile(self) -> &'static str {
        match self {
            Ko => "커널마다 걸린 시간을 알 수 없습니다: GPU에서 도는 부분이 없거나, 그 GPU가 시간을 재지 못합니다",
            En => "no kernel was timed: nothing ran on a GPU, or it has no timestamps",
        }
    }

    pub(crate) fn rate(self, median: f64, least: f64, most: f64, n_tokens: usize) -> String {
        match self {
            Ko => format!("초당 {median:.2}토큰 ({least:.2}~{most:.2}, 토큰 {n_tokens}개씩)"),
            En => format!("{median:.2} tokens/s ({least:.2} to {most:.2}, {n_tokens} tokens each)"),
        }
    }

    /// A GPU fails, and has lost layers of the model.
    pub(crate) fn runs_elsewhere(self, device: &str, on_gpu: usize) -> String {
        match self {
            Ko => format!(
                "GPU가 거듭 멈추었거나 다시 준비되지 않아, 이제 {device}에서 실행합니다 (GPU의 층 {on_gpu}개). 전보다 느릴 수 있습니다."
            ),
            En => format!(
                "The GPU was lost too often or does not come back: the model now runs on {device} (layers on the GPU: {on_gpu}), \
                 which may be slower."
            ),
        }
    }

    pub(crate) fn stats(self, stats: &Stats) -> String {
        let seconds = |ko: &str, en: &str, seconds: f64| match self {
            Ko => format!("{ko} {seconds:.2}초"),
            En => format!("{en} {seconds:.2} s"),
        };
        let rate = |ko: &str, en: &str, tokens: usize, rate: Option<f64>| {
            let rate = rate.map_or_else(|| "-".into(), |rate| format!("{rate:.1}"));
            match self {
                Ko => format!("{ko} {tokens}토큰, 초당 {rate}토큰"),
                En => format!("{en} {tokens} tokens, {rate} tokens/s"),
            }
        };
        let peak = |peak: u64| match self {
            Ko => format!("최대 메모리 {}", bytes(peak)),
            En => format!("peak memory {}", bytes(peak)),
        };
        let mut parts = vec![stats.device.clone()];
        parts.extend(stats.load_s.map(|s| seconds("불러오기", "load", s)));
        parts.extend(stats.first_token_s.map(|s| seconds("첫 토큰까지", "first token after", s)));
        parts.push(rate("읽기", "prefill", stats.prompt_tokens, stats.prefill_tps));
        parts.push(rate("쓰기", "decode", stats.completion_tokens, stats.decode_tps));
        parts.extend(stats.peak_rss.map(peak));
        parts.join(" · ")
    }
}

/// The option of the command line that sets an option of the library.
fn flag(option: &str) -> String {
    let name = match option {
        "n_ctx" => "ctx",
        "temperature" => "temp",
        "repetition_penalty" => "repeat-penalty",
        other => other,
    };
    format!("--{}", name.replace('_', "-"))
}

fn korean(error: &Error) -> String {
    use Error as E;
    match error {
        E::File { path, source } => {
            format!("모델 파일 '{}'을(를) 읽을 수 없습니다: {}", path.display(), korean_gguf(source))
        }
        E::Metadata(error) => korean_gguf(error),
        E::Model(ModelError::UnknownArchitecture { name, known }) => format!(
            "실학은 '{name}' 구조의 모델을 아직 실행하지 못합니다. 실행할 수 있는 구조는 {known}입니다. 새 판이 나왔는지 확인하시거나 \
             다른 모델을 써 주십시오."
        ),
        E::Model(ModelError::TensorType { name, ty, known }) => format!(
            "텐서 '{name}'이(가) 실학이 실행하지 못하는 {ty} 형식입니다. 실행할 수 있는 형식은 {known}입니다. 다른 형식으로 \
             양자화한 파일을 써 주십시오."
        ),
        E::Model(ModelError::MissingTensor { name }) => format!(
            "텐서 '{name}'이(가) 파일에 없습니다. 파일이 온전하지 않거나 적혀 있는 것과 다른 구조의 모델입니다. 다시 받아 주십시오."
        ),
        E::Model(ModelError::Gguf(error)) => korean_gguf(error),
        E::Tokenizer(TokenizerError::UnknownPre { found, known }) => format!(
            "'{found}'(이)라는 사전 토크나이저를 실학은 모릅니다. 아는 것은 {known}입니다. 그 가운데 같은 것을 --pre로 지정해 주십시오. \
             다른 것을 고르면 답이 나빠집니다."
        ),
        E::Tokenizer(TokenizerError::UnknownModel { found, known }) => format!(
            "'{found}' 방식의 토크나이저를 실학은 모릅니다. 아는 것은 {known}입니다. 다른 모델을 써 주십시오."
        ),
        E::NoTemplate => "이 모델에는 대화 틀이 없습니다. --raw를 붙이면 글을 이어서 씁니다.".into(),
        E::Template(error) => format!("모델의 대화 틀을 쓸 수 없습니다: {error}. --raw를 붙이면 틀 없이 실행합니다."),
        E::EmptyPrompt => "입력이 비어 있습니다. 질문을 적어 주십시오.".into(),
        E::PromptTooLong { n_tokens, n_ctx } => format!(
            "입력이 토큰 {n_tokens}개인데 문맥에는 {n_ctx}개까지 들어갑니다. 글을 줄이시거나 --ctx를 늘려 주십시오."
        ),
        E::Option { option, expected, found } => {
            format!("{}에 쓸 수 있는 값은 {}인데 {found}을(를) 받았습니다.", flag(option), expected.replace(" to ", "~"))
        }
        E::IsaNotHere { isa } => {
            format!("이 프로세서는 {isa} 명령을 실행하지 못합니다. --isa를 빼면 쓸 수 있는 것 가운데 가장 빠른 것을 씁니다.")
        }
        E::Gpu(error) => korean_gpu(error),
        E::GpuMemory { gpu, layers, needed, budget } => format!(
            "{gpu}: 모델의 층 {layers}개를 올리려면 {}가 드는데 {}까지만 쓸 수 있습니다. --gpu-layers나 --ctx를 줄이시거나, \
             --gpu-memory를 늘리시거나, --device cpu로 실행해 주십시오.",
            bytes(*needed),
            bytes(*budget)
        ),
        E::Prepare(BackendError::OutOfMemory { bytes: size, .. }) => format!(
            "메모리가 모자랍니다. {}를 얻지 못했습니다. --ctx를 줄이시거나 더 작은 모델을 써 주십시오. run-model fit으로 얼마나 \
             들어가는지 볼 수 있습니다.",
            bytes(*size as u64)
        ),
        E::Prepare(BackendError::KvHead { element, block_len, found }) => format!(
            "키와 값을 {element}(으)로 저장하려면 헤드의 크기가 {block_len}의 배수여야 하는데 이 모델은 {found}입니다. --kv f16으로 실행해 \
             주십시오."
        ),
        E::NoFreePages { .. } => "문맥을 저장할 메모리가 모자랍니다. --ctx를 늘려 다시 실행해 주십시오.".into(),
        E::OtherVocabulary { found, expected } => format!(
            "원본의 어휘는 {expected}개인데 이 모델은 {found}개입니다. 서로 다른 모델이니 원본을 확인하십시오"
        ),
        E::NotFinite => "모델의 계산 결과가 유한한 수가 아닙니다. 파일이 손상되었을 수 있으니 run-model verify로 확인하시고, --device \
                         reference로도 실행해 보십시오."
            .into(),
        E::Cancelled => "끝나기 전에 취소되었습니다.".into(),
        other => other.to_string(),
    }
}

fn korean_gpu(error: &GpuError) -> String {
    use GpuError as E;
    match error {
        E::NoAdapter => {
            "GPU를 찾지 못했습니다. Vulkan, Metal, Direct3D 12 드라이버를 설치하시거나 --device cpu로 실행해 주십시오."
                .into()
        }
        E::UnknownAdapter { wanted, there } => {
            format!("'{wanted}'(이)라는 GPU가 없습니다. 있는 것은 {there}입니다.")
        }
        E::Open { adapter, reason } => {
            format!("{adapter}을(를) 열지 못했습니다: {reason}. 다른 GPU를 고르시거나 --device cpu로 실행해 주십시오.")
        }
        other => other.to_string(),
    }
}

pub(super) fn korean_gguf(error: &gguf::Error) -> String {
    use gguf::Error as E;
    match error {
        E::File { path, source } => format!("{}: {}", path.display(), korean_gguf(source)),
        E::NotAFile => "보통 파일이 아닙니다. .gguf 파일의 경로를 적어 주십시오.".into(),
        E::NotGguf { .. } => {
            "GGUF 파일이 아닙니다. 파일이 GGUF라는 글자로 시작하지 않으니, 끝까지 받은 파일인지 확인해 주십시오.".into()
        }
        E::Truncated { offset, .. } => {
            format!("파일이 {offset}바이트 자리에서 끊어져 있습니다. 다시 받아 주십시오.")
        }
        E::UnsupportedVersion { found } => {
            format!("GGUF {found}판은 읽지 못합니다. 2판이나 3판으로 다시 변환해 주십시오.")
        }
        E::BigEndian { .. } => {
            "빅 엔디언 파일은 읽지 못합니다. gguf-py의 gguf_convert_endian.py로 리틀 엔디언으로 바꿔 주십시오.".into()
        }
        E::TooLarge { offset, found, limit, .. } => format!(
            "{offset}바이트 자리의 값이 {found}인데 {limit}까지만 받아들입니다. 파일이 손상되었거나 해로운 파일입니다. 다시 받아 주십시오."
        ),
        E::CountPastEnd { offset, .. } => {
            format!(
                "{offset}바이트 자리에 적힌 개수가 파일의 나머지보다 큽니다. 잘렸거나 손상된 파일이니 다시 받아 주십시오."
            )
        }
        E::TensorPastEnd { tensor, .. } => {
            format!("텐서 '{}'의 값이 파일 끝을 넘습니다. 파일이 잘렸으니 다시 받아 주십시오.", short(tensor))
        }
        E::UnknownTensorType { tensor, id, .. } => format!(
            "텐서 '{}'의 형식 번호 {id}을(를) 이 판의 실학은 모릅니다. 새 판이 나왔는지 확인하시거나 다른 형식으로 양자화한 파일을 써 \
             주십시오.",
            short(tensor)
        ),
        E::RemovedTensorType { tensor, name, .. } => format!(
            "텐서 '{}'이(가) 더는 쓰지 않는 {name} 형식입니다. 요즘 형식으로 다시 양자화해 주십시오.",
            short(tensor)
        ),
        E::MissingKey { key, .. } => {
            format!("메타데이터에 '{}' 값이 없습니다. 모델 파일을 다시 변환해 주십시오.", short(key))
        }
        E::Io { source, .. } => format!("시스템이 거부했습니다({source}). 경로와 권한을 확인해 주십시오."),
        other => other.to_string(),
    }
}

/// A name from a file, which may be long and hostile.
fn short(name: &str) -> String {
    name.chars().take(96).flat_map(char::escape_debug).collect()
}
