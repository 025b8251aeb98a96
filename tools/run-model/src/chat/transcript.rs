//! Conversations as files: `{"model": ..., "messages": [{"role", "content"}, ...]}`.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use silhak::Message;

#[derive(Serialize)]
struct Saved<'a> {
    model: &'a str,
    messages: &'a [Message],
}

#[derive(Deserialize)]
struct Loaded {
    messages: Vec<Message>,
}

pub(super) fn save(path: &Path, model: &str, messages: &[Message]) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(&Saved { model, messages })?;
    fs::write(path, json + "\n").map_err(|error| named(path, error))
}

pub(super) fn load(path: &Path) -> anyhow::Result<Vec<Message>> {
    let json = fs::read_to_string(path).map_err(|error| named(path, error))?;
    let loaded: Loaded = serde_json::from_str(&json).with_context(|| path.display().to_string())?;
    Ok(loaded.messages)
}

/// An error of a file, which unlike one of the terminal does not end the chat.
fn named(path: &Path, error: std::io::Error) -> anyhow::Error {
    anyhow::anyhow!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_can_be_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.json");
        let messages = [Message::system("짧게"), Message::user("안녕"), Message::assistant("안녕하세요!")];
        save(&path, "demo", &messages).unwrap();
        assert_eq!(load(&path).unwrap(), messages);
        assert!(load(&folder.path().join("absent.json")).unwrap_err().to_string().contains("absent.json"));
    }
}
