//! What the command says, in Korean and English side by side.

mod chat;
mod convert;
mod engine;
mod model;
mod store;
mod synth;

use std::time::Duration;

use clap::ValueEnum;
use silhak_store::{Phase, StoreError};

use crate::output::bytes;

pub(crate) use engine::{Stats, error as explain_engine};
pub(crate) use store::store_error;

/// The language of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// 한국어
    Ko,
    /// English
    En,
}

use Lang::{En, Ko};

/// An error as a sentence in the user's language; what the catalogue of messages does not know is shown as it is.
pub(crate) fn explain(lang: Lang, error: &anyhow::Error) -> String {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return store_error(lang, error);
    }
    if let Some(error) = error.downcast_ref::<silhak_synth::Error>() {
        return synth::error(lang, error);
    }
    if let Some(error) = error.downcast_ref::<silhak_convert::Error>() {
        return convert::error(lang, error);
    }
    match error.downcast_ref::<silhak::Error>() {
        Some(error) => engine::error(lang, error),
        None => format!("{error:#}"),
    }
}

impl Lang {
    /// Korean where the locale is, English elsewhere.
    pub(crate) fn from_locale() -> Self {
        if sys_locale::get_locale().is_some_and(|locale| locale.starts_with("ko")) { Ko } else { En }
    }

    pub(crate) fn error_label(self) -> &'static str {
        match self {
            Ko => "오류",
            En => "error",
        }
    }

    pub(crate) fn phase(self, phase: Phase) -> &'static str {
        match (self, phase) {
            (Ko, Phase::Downloading) => "내려받는 중",
            (En, Phase::Downloading) => "downloading",
            (Ko, Phase::Unpacking) => "푸는 중",
            (En, Phase::Unpacking) => "unpacking",
            (Ko, Phase::Copying) => "복사하는 중",
            (En, Phase::Copying) => "copying",
            (Ko, Phase::Hashing) => "확인하는 중",
            (En, Phase::Hashing) => "checking",
        }
    }

    pub(crate) fn trying(self, source: &str) -> String {
        match self {
            Ko => format!("{source}에서 가져옵니다."),
            En => format!("Fetching from {source}."),
        }
    }

    pub(crate) fn resuming(self, done: u64) -> String {
        match self {
            Ko => format!("지난번에 받은 {}에 이어서 받습니다.", bytes(done)),
            En => format!("Going on from the {} of last time.", bytes(done)),
        }
    }

    pub(crate) fn retrying(self, why: &str, wait: Duration) -> String {
        match self {
            Ko => format!("{why} {:.1}초 뒤에 다시 시도합니다.", wait.as_secs_f32()),
            En => format!("{why}. Trying again in {:.1} s.", wait.as_secs_f32()),
        }
    }

    pub(crate) fn source_failed(self, source: &str, why: &str) -> String {
        match self {
            Ko => format!("{source}에서 가져오지 못했습니다: {why}"),
            En => format!("{source} failed: {why}"),
        }
    }

    pub(crate) fn unpinned(self, digest: &str) -> String {
        match self {
            Ko => format!("이 파일의 SHA-256은 실학의 목록에 없어, 서버가 알려 준 값으로만 확인합니다: {digest}"),
            En => format!(
                "Silhak's catalogue has no SHA-256 of this file; it is checked against the one the server announces: {digest}"
            ),
        }
    }

    pub(crate) fn waiting(self) -> &'static str {
        match self {
            Ko => "다른 프로그램이 같은 모델을 받고 있어 끝나기를 기다립니다.",
            En => "Another program is fetching the same model; waiting for it.",
        }
    }

    pub(crate) fn already_here(self) -> &'static str {
        match self {
            Ko => "이미 받아 둔 모델입니다.",
            En => "The model is here already.",
        }
    }

    pub(crate) fn ready(self, name: &str, size: u64) -> String {
        match self {
            Ko => format!("{name} 모델({})을 사용할 수 있습니다.", bytes(size)),
            En => format!("{name} ({}) is ready.", bytes(size)),
        }
    }

    pub(crate) fn english_only(self, name: &str) -> String {
        match self {
            Ko => format!(
                "{name}은(는) 영어로만 답하는 작은 모델입니다. 한국어로 답하는 모델은 run-model ls --available로 볼 수 있습니다."
            ),
            En => format!(
                "{name} is a small model that answers in English only; run-model ls --available lists models for Korean."
            ),
        }
    }

    pub(crate) fn licence(self, name: &str, url: &str) -> String {
        match self {
            Ko => format!("이용 허락: {name} <{url}>"),
            En => format!("Licence: {name} <{url}>"),
        }
    }

    pub(crate) fn restricted(self) -> &'static str {
        match self {
            Ko => "이 허락에는 비상업적 이용 같은 제한이 있습니다. 위 주소의 전문을 먼저 읽어 주십시오.",
            En => {
                "This licence limits what the model may be used for, to non-commercial use for one; please read it first."
            }
        }
    }

    pub(crate) fn not_supported_yet(self, architecture: &str) -> String {
        match self {
            Ko => format!(
                "실학은 아직 '{architecture}' 구조의 모델을 실행하지 못합니다. 받아 두면 지원하는 판이 나온 뒤에 쓸 수 있습니다."
            ),
            En => format!(
                "Silhak does not run models of the architecture '{architecture}' yet; fetched now, it waits for a release that does."
            ),
        }
    }

    pub(crate) fn ask_consent(self) -> &'static str {
        match self {
            Ko => "위 내용에 동의하고 받으시겠습니까? [y/N] ",
            En => "Do you agree, and shall it be fetched? [y/N] ",
        }
    }

    pub(crate) fn consent_needed(self) -> &'static str {
        match self {
            Ko => "동의가 필요합니다. 읽고 동의하신다면 --yes를 붙여 다시 실행해 주십시오.",
            En => {
                "this model needs your consent; if you have read the above and agree, run the command again with --yes"
            }
        }
    }

    pub(crate) fn not_agreed(self) -> &'static str {
        match self {
            Ko => "동의하지 않으셔서 받지 않았습니다.",
            En => "not fetched, because you did not agree",
        }
    }

    pub(crate) fn removed(self, name: &str, freed: u64) -> String {
        match self {
            Ko => format!("{name} 모델을 지워 {}를 비웠습니다.", bytes(freed)),
            En => format!("Removed {name}, which freed {}.", bytes(freed)),
        }
    }

    pub(crate) fn verified(self, name: &str) -> String {
        match self {
            Ko => format!("{name}: 이상이 없습니다."),
            En => format!("{name}: good."),
        }
    }

    pub(crate) fn some_failed(self, failed: usize) -> String {
        match self {
            Ko => format!("{failed}개가 실패했습니다."),
            En => format!("{failed} of them failed"),
        }
    }

    pub(crate) fn store_is_empty(self) -> &'static str {
        match self {
            Ko => "받아 둔 모델이 없습니다. run-model pull demo로 작은 모델을 받아 보십시오.",
            En => "There are no models here yet; run-model pull demo fetches a small one.",
        }
    }

    pub(crate) fn list_heads(self) -> [&'static str; 4] {
        match self {
            Ko => ["이름", "크기", "이용 허락", "추가한 때"],
            En => ["NAME", "SIZE", "LICENCE", "ADDED"],
        }
    }

    pub(crate) fn available_heads(self) -> [&'static str; 3] {
        match self {
            Ko => ["이름", "이용 허락", "설명"],
            En => ["NAME", "LICENCE", "DESCRIPTION"],
        }
    }

    pub(crate) fn first_reachable_of(self, names: &str) -> String {
        match self {
            Ko => format!("{names} 가운데 먼저 받을 수 있는 모델"),
            En => format!("The first of {names} that can be reached."),
        }
    }

    pub(crate) fn own_catalogue_unused(self, why: &str) -> String {
        match self {
            Ko => format!("주의: {why} 그때까지는 실학의 목록만 씁니다."),
            En => format!("warning: {why}; until then, only Silhak's own catalogue is used"),
        }
    }

    pub(crate) fn unknown_licence(self) -> &'static str {
        match self {
            Ko => "모름",
            En => "unknown",
        }
    }

    pub(crate) fn facts_heads(self) -> [&'static str; 7] {
        match self {
            Ko => ["이름", "크기", "이용 허락", "출처", "추가한 때", "SHA-256", "파일"],
            En => ["name", "size", "licence", "source", "added", "SHA-256", "file"],
        }
    }
}
