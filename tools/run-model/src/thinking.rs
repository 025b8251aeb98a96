//! A model's thinking: whether it is wanted, and how it is shown.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::{Map, Value};

/// Whether a model shall think before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Think {
    /// As its maker has it
    #[default]
    Auto,
    /// Always, if it can
    On,
    /// Never, if that can be helped
    Off,
}

impl fmt::Display for Think {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Think::Auto => "auto",
            Think::On => "on",
            Think::Off => "off",
        })
    }
}

impl Think {
    /// The variables by which the makers' templates are told.
    pub(crate) fn variables(self) -> Map<String, Value> {
        // EXAONE and most others; HyperCLOVA X Think 32B; its 14B; Solar Open.
        let names = |on: bool| {
            let own_of_14b = if on { "force_reasoning" } else { "skip_reasoning" };
            let effort = if on { "high" } else { "low" };
            [
                ("enable_thinking", on.into()),
                ("thinking", on.into()),
                (own_of_14b, true.into()),
                ("reasoning_effort", effort.into()),
            ]
        };
        let variables = match self {
            Think::Auto => None,
            Think::On => Some(names(true)),
            Think::Off => Some(names(false)),
        };
        variables.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Shows thinking on stderr, dimmed, where that is a terminal: it is no part of the answer.
pub(crate) struct Aside {
    is_shown: bool,
    /// Something was shown, and the answer has not begun.
    is_open: bool,
}

impl Aside {
    pub(crate) fn new() -> Self {
        Aside { is_shown: io::stderr().is_terminal(), is_open: false }
    }

    /// Shows a piece of thinking.
    pub(crate) fn show(&mut self, reasoning: &str) -> io::Result<()> {
        if !self.is_shown || reasoning.is_empty() {
            return Ok(());
        }
        self.is_open = true;
        write!(io::stderr(), "{DIM}{reasoning}{PLAIN}")
    }

    /// The thinking is over.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_open) { writeln!(io::stderr(), "\n") } else { Ok(()) }
    }
}

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";
