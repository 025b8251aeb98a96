//! What `synth` says, and its errors.

use std::path::Path;

use silhak_synth::Error;

use super::Lang::{self, En, Ko};
use crate::output::bytes;

/// An error of `synth` as a sentence in the user's language.
pub(crate) fn error(lang: Lang, error: &Error) -> String {
    match (lang, error) {
        (Ko, Error::NotAFile { path }) => {
            format!("'{}'은(는) 이미 있고 보통 파일이 아닙니다. 다른 파일 이름을 적어 주십시오.", path.display())
        }
        (Ko, Error::NoSpace { needed, available }) => format!(
            "디스크 공간이 모자랍니다. {}가 필요한데 {}가 남아 있습니다. 공간을 비우시거나 다른 디스크에 써 주십시오.",
            bytes(*needed),
            bytes(*available)
        ),
        (En, Error::NoSpace { needed, available }) => format!(
            "not enough room on the disk: {} are needed and {} are free; free some or write to another disk",
            bytes(*needed),
            bytes(*available)
        ),
        (Ko, Error::DiskFull { needed }) => format!(
            "디스크가 가득 찼습니다. 파일에 {}가 필요합니다. 공간을 비우시거나 다른 디스크에 써 주십시오.",
            bytes(*needed)
        ),
        (En, Error::DiskFull { needed }) => {
            format!("the disk is full, and the file takes {}; free some room or write to another disk", bytes(*needed))
        }
        (Ko, Error::Cancelled) => "멈추었습니다. 쓰던 파일은 남기지 않았습니다.".into(),
        // What the system says comes in the system's language.
        (Ko, Error::Io { path, source, .. }) => format!("'{}'에 쓸 수 없습니다: {source}", path.display()),
        (_, other) => other.to_string(),
    }
}

impl Lang {
    pub(crate) fn writing(self) -> &'static str {
        match self {
            Ko => "쓰는 중",
            En => "writing",
        }
    }

    pub(crate) fn written(self, path: &Path, size: u64, seconds: f64) -> String {
        let (path, size) = (path.display(), bytes(size));
        match self {
            Ko => format!("'{path}' 파일({size})을 {seconds:.1}초 만에 썼습니다. 가중치는 무작위 값입니다."),
            En => format!("Wrote '{path}' ({size}) in {seconds:.1} s. Its weights are random."),
        }
    }

    pub(crate) fn preset_heads(self) -> [&'static str; 6] {
        match self {
            Ko => ["이름", "모델", "구조", "층", "매개변수", "파일 크기"],
            En => ["NAME", "SHAPE OF", "ARCHITECTURE", "LAYERS", "PARAMETERS", "FILE"],
        }
    }
}
