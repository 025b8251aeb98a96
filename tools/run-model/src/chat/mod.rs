//! The interactive chat.

mod command;
mod reader;
mod settings;
mod transcript;

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::ValueEnum as _;
use silhak::{FinishReason, GenerateOptions, Message, Model, Session, Usage};

use crate::messages::{self, Lang};
use crate::output;
use crate::thinking::Think;
use crate::{answer, engine};

use command::Command;
use reader::Reader;
use settings::NAMES;
pub(crate) use settings::SetError;

/// Whether there is somebody to chat with.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// What a chat begins with.
pub(crate) struct Start<'a> {
    /// What the user called the model.
    pub(crate) name: &'a str,
    pub(crate) model: Model,
    /// Each line is continued on its own, without a template.
    pub(crate) raw: bool,
    pub(crate) system: Option<String>,
    pub(crate) options: GenerateOptions,
    /// Whether the model shall think.
    pub(crate) think: Think,
    /// Whether each answer is followed by its speed.
    pub(crate) stats: bool,
}

/// Chats until the user leaves.
pub(crate) fn run(start: Start<'_>, lang: Lang) -> anyhow::Result<()> {
    let cancel = start.options.cancel.clone();
    // While an answer comes, Ctrl-C stops it; at the prompt, the line editor sees it as a key.
    ctrlc::set_handler(move || cancel.cancel())?;
    output::note(lang.chat_greeting());
    let mut chat = Chat { session: start.model.session(), start, messages: Vec::new(), last: Usage::default(), lang };
    let mut reader = Reader::new()?;
    while let Some(input) = reader.read(lang)? {
        // Whatever was cancelled is over; a Ctrl-C from here on is meant for the answer to this.
        chat.start.options.cancel.reset();
        let heard = match Command::parse(&input) {
            Some(Ok(Command::Bye)) => return Ok(()),
            Some(Ok(command)) => chat.obey(command),
            Some(Err(unknown)) => Err(anyhow::anyhow!(lang.unknown_command(&unknown))),
            None if input.trim().is_empty() => Ok(()),
            None => chat.say(input),
        };
        match heard {
            Err(error) if error.is::<io::Error>() => return Err(error),
            Err(error) => output::note(&format!("{}: {}", lang.error_label(), messages::explain(lang, &error))),
            Ok(()) => {}
        }
    }
    Ok(())
}

struct Chat<'a> {
    start: Start<'a>,
    session: Session,
    /// The turns so far, without the system's instruction.
    messages: Vec<Message>,
    last: Usage,
    lang: Lang,
}

impl Chat<'_> {
    /// Says something to the model and writes its answer. Without an answer, it is as if nothing had been said.
    fn say(&mut self, text: String) -> anyhow::Result<()> {
        let prompt = if self.start.raw {
            self.start.model.text_prompt(&text)
        } else {
            self.messages.push(Message::user(text));
            match self.start.model.chat_prompt(&self.conversation(), &engine::chat_options(self.start.think)) {
                Ok(prompt) => prompt,
                Err(error) => {
                    self.messages.pop();
                    return Err(error.into());
                }
            }
        };
        let answered = self.answer(&prompt);
        if !self.start.raw {
            match &answered {
                Ok(text) if !text.is_empty() => self.messages.push(Message::assistant(text)),
                _ => drop(self.messages.pop()),
            }
        }
        answered.map(drop)
    }

    fn answer(&mut self, prompt: &[u32]) -> anyhow::Result<String> {
        let mut stdout = io::stdout().lock();
        let write = |text: &str| stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        let answered = answer::stream(&mut self.session, prompt, self.start.options.clone(), self.lang, write);
        drop(stdout);
        output::line("")?;
        let answer = answered?;
        self.last = answer.usage;
        if self.start.stats {
            output::note(&self.lang.stats(&answer.stats(&self.start.model)));
        }
        if answer.ends_in_thought {
            output::note(self.lang.thought_cut());
        }
        match answer.finish_reason {
            FinishReason::Stop => {}
            FinishReason::Cancelled => output::note(self.lang.answer_stopped()),
            FinishReason::Length => output::note(&self.lang.answer_cut(self.start.model.n_ctx())),
        }
        Ok(answer.text)
    }

    fn obey(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            // Leaving is up to the loop around this.
            Command::Bye => {}
            Command::Help => output::note(&self.lang.chat_help(&NAMES.join(", "))),
            Command::Clear => {
                self.messages.clear();
                self.session.clear();
                self.last = Usage::default();
                output::note(self.lang.cleared());
            }
            Command::Show => self.show()?,
            Command::Set { name, value } => self.set(&name, &value)?,
            Command::Save(path) => {
                transcript::save(Path::new(&path), self.start.name, &self.conversation(), self.lang)?;
                output::note(&self.lang.saved(&path));
            }
            Command::Load(path) => self.load(&path)?,
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        if name == "system" {
            anyhow::ensure!(!self.start.raw, self.lang.system_needs_template());
            self.start.system = (!value.is_empty()).then(|| value.to_owned());
            return Ok(());
        }
        if name == "think" {
            self.start.think =
                Think::from_str(value, false).map_err(|_| anyhow::anyhow!(self.lang.not_think(value)))?;
            return Ok(());
        }
        settings::set(&mut self.start.options, name, value)
            .map_err(|error| anyhow::anyhow!(self.lang.cannot_set(&error, &NAMES.join(", "))))
    }

    fn show(&self) -> anyhow::Result<()> {
        let [model, context, system] = self.lang.show_heads().map(str::to_owned);
        let used = self.last.prompt_tokens + self.last.completion_tokens;
        let mut rows = vec![
            [model, self.start.name.to_owned()],
            [context, format!("{used} / {}", self.start.model.n_ctx())],
            [system, self.start.system.clone().unwrap_or_else(|| "-".into())],
            ["think".to_owned(), self.start.think.to_string()],
        ];
        rows.extend(settings::list(&self.start.options).map(|(name, value)| [name.to_owned(), value]));
        output::table(&rows)
    }

    fn load(&mut self, path: &str) -> anyhow::Result<()> {
        let mut messages = transcript::load(Path::new(path), self.lang)?;
        let has_system = messages.first().is_some_and(|message| message.role == "system");
        self.start.system = has_system.then(|| messages.remove(0).content);
        self.messages = messages;
        self.last = Usage::default();
        output::note(&self.lang.loaded(path, self.messages.len()));
        Ok(())
    }

    fn conversation(&self) -> Vec<Message> {
        self.start.system.iter().map(Message::system).chain(self.messages.iter().cloned()).collect()
    }
}
