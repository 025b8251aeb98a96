//! Conversations as files: `{"model": ..., "messages": [{"role", "content"}, ...]}`.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use silhak::Message;

use crate::engine;
use crate::messages::Lang;

#[derive(Serialize)]
struct Saved<'a> {
    model: &'a str,
    messages: &'a [Message],
}

#[derive(Deserialize)]
struct Loaded {
    messages: Vec<Message>,
}

// An error of a file becomes a sentence here, for unlike one of the terminal it does not end the chat.

pub(super) fn save(path: &Path, model: &str, messages: &[Message], lang: Lang) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(&Saved { model, messages })?;
    fs::write(path, json + "\n").map_err(|error| anyhow!(lang.cannot_save(path, &error)))
}

pub(super) fn load(path: &Path, lang: Lang) -> anyhow::Result<Vec<Message>> {
    let json = engine::read_text(path, lang)?;
    let loaded: Loaded = serde_json::from_str(&json).map_err(|error| anyhow!(lang.not_a_conversation(path, &error)))?;
    Ok(loaded.messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_can_be_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.json");
        let messages = [Message::system("짧게"), Message::user("안녕"), Message::assistant("안녕하세요!")];
        save(&path, "demo", &messages, Lang::En).unwrap();
        assert_eq!(load(&path, Lang::En).unwrap(), messages);
    }

    #[test]
    fn what_cannot_be_loaded_or_saved_is_told_with_what_to_try() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("list.json"), "[]").unwrap();
        fs::write(path("cp949.json"), b"\xbe\xc8\xb3\xe7").unwrap();
        for (name, english, korean) in [
            ("absent.json", "check the path", "경로를 확인해"),
            ("list.json", "/save", "/save"),
            ("cp949.json", "iconv", "iconv"),
            ("", "a file that you may read", "읽을 수 있는 파일"),
        ] {
            let error = |lang| load(&path(name), lang).unwrap_err().to_string();
            assert!(error(Lang::En).contains(english) && error(Lang::En).contains(name), "{}", error(Lang::En));
            assert!(error(Lang::Ko).contains(korean) && error(Lang::Ko).contains(name), "{}", error(Lang::Ko));
        }
        let error = |lang| save(&path("no/such.json"), "demo", &[], lang).unwrap_err().to_string();
        assert!(error(Lang::En).contains("another place") && error(Lang::Ko).contains("다른 곳"));
    }
}
