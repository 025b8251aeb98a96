//! `run-model run MODEL [PROMPT]`

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use anyhow::bail;
use serde::Serialize;
use silhak::{GenerateOptions, Message, Model};

use crate::answer::{self, Answer, UsageJson};
use crate::chat::{self, Start};
use crate::cli::RunArgs;
use crate::context::Context;
use crate::messages::{Lang, Stats};
use crate::{engine, output, system};

pub(crate) fn run(args: &RunArgs, context: &Context) -> anyhow::Result<()> {
    let prompt = prompt(args, context.lang)?;
    let chats = prompt.is_empty() && !args.json && chat::is_possible();
    if prompt.is_empty() && !chats {
        bail!(context.lang.no_prompt());
    }
    let path = engine::find_or_pull(&args.model, &args.consent, context)?;
    let started = Instant::now();
    let model = engine::load(&path, args.engine.load_options(), context)?;
    let raw = args.raw || !model.can_chat();
    if raw && args.system.is_some() {
        bail!(context.lang.system_needs_template());
    }
    if raw && !args.raw {
        output::note(context.lang.no_template());
    }
    if chats {
        let (system, options) = (args.system.clone(), options(&model, raw, args));
        let start = Start { name: &args.model, model, raw, system, options, think: args.think, stats: args.stats };
        return chat::run(start, context.lang);
    }
    let tokens = if raw {
        model.text_prompt(&prompt)
    } else {
        let system = args.system.iter().map(Message::system);
        let messages: Vec<Message> = system.chain([Message::user(prompt)]).collect();
        model.chat_prompt(&messages, &engine::chat_options(args.think))?
    };
    let options = options(&model, raw, args);
    one_shot(&model, started, &tokens, options, args, context.lang)
}

/// Where a template shapes the conversation, thinking is told from the answer.
fn options(model: &Model, raw: bool, args: &RunArgs) -> GenerateOptions {
    let reasoning = model.reasoning_tags().filter(|_| !raw);
    GenerateOptions { reasoning, ..args.sampling.generate_options(model) }
}

/// What the user has to say: the argument, what is piped in, or both, one after the other.
fn prompt(args: &RunArgs, lang: Lang) -> anyhow::Result<String> {
    let piped = if io::stdin().is_terminal() { String::new() } else { engine::read_stdin(lang)? };
    // The line break that `echo` and editors put at the end is no part of the text.
    let piped = piped.strip_suffix('\n').map_or(piped.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    let parts = [args.prompt.as_deref().unwrap_or_default(), piped];
    Ok(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"))
}

/// Answers once: as text while it comes, or as JSON when it is done.
fn one_shot(
    model: &Model,
    started: Instant,
    tokens: &[u32],
    options: GenerateOptions,
    args: &RunArgs,
    lang: Lang,
) -> anyhow::Result<()> {
    let (json, mut stdout) = (args.json, io::stdout().lock());
    let write = |text: &str| {
        if json || text.is_empty() {
            return Ok(());
        }
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    };
    let answer = answer::stream(&mut model.session(), tokens, options, lang, write)?;
    drop(stdout);
    let timings = Timings::new(model, &answer, started);
    if json {
        output::json(&Report::new(&answer, tokens, model, &timings))?;
    } else if !answer.text.ends_with('\n') {
        output::line("")?;
    }
    if answer.ends_in_thought {
        output::note(lang.thought_cut());
    }
    if args.stats {
        let Timings { load_s, first_token_s, .. } = timings;
        output::note(&lang.stats(&Stats { load_s: Some(load_s), first_token_s, ..answer.stats(model) }));
    }
    Ok(())
}

/// An answer as `run --json` prints it.
#[derive(Serialize)]
struct Report<'a> {
    text: &'a str,
    /// What the model thought before; empty where it did not.
    reasoning: &'a str,
    ids: &'a [u32],
    prompt_ids: &'a [u32],
    finish_reason: &'static str,
    usage: UsageJson,
    /// The backends' names.
    runs_on: String,
    timings: &'a Timings,
}

impl<'a> Report<'a> {
    fn new(answer: &'a Answer, prompt_ids: &'a [u32], model: &'a Model, timings: &'a Timings) -> Self {
        let finish_reason = answer.finish_reason.name();
        let (usage, runs_on) = (answer.usage.into(), model.device());
        Self {
            text: &answer.text,
            reasoning: &answer.reasoning,
            ids: &answer.ids,
            prompt_ids,
            finish_reason,
            usage,
            runs_on,
            timings,
        }
    }
}

/// How long it took; what was not measured is `null`.
#[derive(Serialize)]
struct Timings {
    /// Opening and reading the file, and setting up.
    load_s: f64,
    /// From the beginning of the load to the first token.
    first_token_s: Option<f64>,
    prefill_tps: Option<f64>,
    decode_tps: Option<f64>,
    peak_rss_bytes: Option<u64>,
}

impl Timings {
    fn new(model: &Model, answer: &Answer, started: Instant) -> Self {
        Self {
            load_s: model.load_time().as_secs_f64(),
            first_token_s: answer.first_token.map(|at| at.duration_since(started).as_secs_f64()),
            prefill_tps: answer.prefill_tps(),
            decode_tps: answer.decode_tps(),
            peak_rss_bytes: system::peak_rss(),
        }
    }
}
