//! What `convert`, `quantize` and `imatrix` say, and their errors.

use std::path::Path;

use silhak_convert::{Error, Mix, QuantizeReport, Report};

use super::Lang::{self, En, Ko};
use super::engine::korean_gguf;
use crate::output::bytes;

/// An error of `convert` or `quantize` as a sentence in the user's language.
pub(crate) fn error(lang: Lang, error: &Error) -> String {
    match (lang, error) {
        (En, Error::NoSpace { needed, available }) => format!(
            "not enough room on the disk: {} are needed and {} are free; free some or write to another disk",
            bytes(*needed),
            bytes(*available)
        ),
        (En, other) => other.to_string(),
        (Ko, other) => korean(other),
    }
}

fn korean(error: &Error) -> String {
    match error {
        // What the system says comes in the system's language.
        Error::Io { path, source, .. } => format!("'{}'을(를) 읽거나 쓸 수 없습니다: {source}", path.display()),
        Error::Json { path, source } => {
            format!("'{}' 파일이 올바르지 않습니다({source}). 다시 내려받아 주십시오.", path.display())
        }
        Error::Config { path, key, expected, found } => {
            format!("'{}'의 '{key}': {expected}이(가) 있어야 하는데 {found}이(가) 있습니다.", path.display())
        }
        Error::UnknownClass { found, known } => {
            format!("'{found}' 모델은 변환할 수 없습니다. 변환할 수 있는 모델: {known}")
        }
        Error::NoWeights { folder, expected } => format!(
            "'{}'에 가중치가 없습니다({expected}). 내려받은 모델의 폴더가 맞는지 살펴 주십시오.",
            folder.display()
        ),
        Error::Safetensors { path, reason } => {
            format!("'{}' 파일이 깨졌습니다({reason}). 다시 내려받아 주십시오.", path.display())
        }
        Error::Dtype { path, found } => format!(
            "'{}'의 가중치는 {found} 형식입니다. BF16, F16, F32만 읽을 수 있으니 양자화하지 않은 모델을 받아 주십시오.",
            path.display()
        ),
        Error::MissingTensor { name } => {
            format!("텐서 '{name}'이(가) 없습니다. 모델의 파일을 모두 받았는지 살펴 주십시오.")
        }
        Error::UnknownTensor { name, class } => {
            format!("텐서 '{name}'은(는) {class}에 없는 것입니다. config.json과 다른 모델입니다.")
        }
        Error::PreTokenizer { found } => {
            format!(
                "토크나이저가 글을 나누는 규칙을 알 수 없습니다: {found}. 아는 규칙의 이름을 --pre로 적어 주십시오."
            )
        }
        Error::NotAFile { path } => {
            format!("'{}'은(는) 이미 있고 보통 파일이 아닙니다. 다른 파일 이름을 적어 주십시오.", path.display())
        }
        Error::NoSpace { needed, available } => format!(
            "디스크 공간이 모자랍니다. {}가 필요한데 {}가 남아 있습니다. 공간을 비우시거나 다른 디스크에 써 주십시오.",
            bytes(*needed),
            bytes(*available)
        ),
        Error::Quantized { name, found } => format!(
            "텐서 '{name}'은(는) 이미 양자화되어 있어({found}) 손실이 더해집니다. F16이나 BF16 모델을 쓰시거나 --allow-requantize를 적어 주십시오."
        ),
        Error::Type { name, found } => format!("텐서 '{name}'의 형식 {found}은(는) 읽을 수 없습니다."),
        Error::Importance { path, reason } => {
            format!("'{}'은(는) 중요도 행렬(imatrix) 파일이 아닙니다: {reason}", path.display())
        }
        Error::OtherImportance { name } => {
            format!("중요도 행렬이 다른 모델의 것입니다. '{name}'이(가) 이 모델에 없거나 모양이 다릅니다.")
        }
        Error::Scales { name, shape, found } => format!(
            "텐서 '{name}'({shape:?})의 배율이 {found:?} 모양이라 맞지 않습니다. 제작사의 BF16 모델을 쓰십시오."
        ),
        Error::Heads { name, n_heads, rows } => {
            format!("텐서 '{name}'의 행이 {rows}개라 헤드 {n_heads}개에 나눌 수 없습니다.")
        }
        Error::ExpertShape { name, expected, found } => {
            format!("텐서 '{name}'의 모양이 {found:?}이어서 첫 전문가의 {expected:?}와(과) 다릅니다.")
        }
        Error::Quantize { name, source } => {
            format!(
                "텐서 '{name}'을(를) 그 형식으로 나타낼 수 없습니다({source}). 다른 형식을 고르거나 원본을 확인해 주십시오."
            )
        }
        Error::Gguf(error) => korean_gguf(error),
        Error::Cancelled => "멈추었습니다. 같은 명령을 다시 내리면 이어서 씁니다.".into(),
        other => other.to_string(),
    }
}

impl Lang {
    pub(crate) fn converted(self, path: &Path, report: &Report, seconds: f64) -> String {
        let (path, size, mix) = (path.display(), bytes(report.bytes), report.mix);
        match (self, report.n_resumed) {
            (Ko, 0) => format!("'{path}' 파일({size}, {mix})을 {seconds:.1}초 만에 썼습니다."),
            (En, 0) => format!("Wrote '{path}' ({size}, {mix}) in {seconds:.1} s."),
            (Ko, n) => format!(
                "'{path}' 파일({size}, {mix})을 썼습니다. 텐서 {}개 가운데 {n}개는 지난번에 써 둔 것입니다.",
                report.n_tensors
            ),
            (En, n) => format!(
                "Wrote '{path}' ({size}, {mix}); {n} of its {} tensors were there from the last time.",
                report.n_tensors
            ),
        }
    }

    pub(crate) fn left_out(self, n: usize, name: &str) -> String {
        match self {
            Ko => format!("글과 상관없는 텐서 {n}개는 넣지 않았습니다('{name}' 등)."),
            En => format!("Left out {n} tensors that text does not need, such as '{name}'."),
        }
    }

    pub(crate) fn quantized(self, path: &Path, mix: Mix, report: &QuantizeReport, seconds: f64) -> String {
        let (path, size, source) = (path.display(), bytes(report.bytes), bytes(report.source_bytes));
        match self {
            Ko => format!("'{path}' 파일({mix})을 {seconds:.1}초 만에 썼습니다. {source}가 {size}가 되었습니다."),
            En => format!("Wrote '{path}' ({mix}) in {seconds:.1} s: {source} became {size}."),
        }
    }

    pub(crate) fn fell_back(self, n: usize, mix: Mix) -> String {
        match self {
            Ko => format!("행렬 {n}개는 행 길이가 {mix}의 블록에 맞지 않아 블록이 더 작은 형식으로 썼습니다."),
            En => format!(
                "{n} matrices have rows that are no whole blocks of {mix}, and got a format with smaller blocks."
            ),
        }
    }

    pub(crate) fn measured_importance(self, path: &Path, n_matrices: usize, n_tokens: u64) -> String {
        let path = path.display();
        match self {
            Ko => format!("토큰 {n_tokens}개를 읽어 행렬 {n_matrices}개의 중요도를 '{path}'에 썼습니다."),
            En => format!("Wrote '{path}': the importance of {n_matrices} matrices over {n_tokens} tokens."),
        }
    }

    pub(crate) fn nothing_fits(self) -> &'static str {
        match self {
            Ko => "3비트로도 들어가지 않습니다. --context를 줄이시거나 더 작은 모델을 쓰십시오.",
            En => "not even 3 bits fit; ask for less --context, or take a smaller model",
        }
    }
}
