//! A chat in a few lines of Rust.

#![forbid(unsafe_code)]

use std::io::{Write, stdin, stdout};

use silhak::{ChatOptions, GenerateOptions, LoadOptions, Message, Model};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: embed-rust MODEL.gguf"))?;
    let model = Model::load(path, LoadOptions::default())?;
    let mut session = model.session();
    let mut messages = Vec::new();
    for line in stdin().lines() {
        messages.push(Message::user(line?));
        let prompt = model.chat_prompt(&messages, &ChatOptions::default())?;
        let mut answer = String::new();
        for piece in session.generate(&prompt, GenerateOptions::default())? {
            let text = piece?.text;
            write!(stdout(), "{text}")?;
            stdout().flush()?;
            answer += &text;
        }
        writeln!(stdout())?;
        messages.push(Message::assistant(answer));
    }
    Ok(())
}
