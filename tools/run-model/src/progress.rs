//! The progress bar and the lines about sources, on stderr.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use silhak_store::{CancelToken, Event, Monitor, Phase};

use crate::messages::{self, Lang};
use crate::output;

/// How far a file is written, as a bar where stderr is a terminal; and whether Ctrl-C was pressed, at which the writer
/// stops by itself and cleans up.
pub(crate) struct Writing {
    bar: Option<ProgressBar>,
    interrupted: Arc<AtomicBool>,
}

impl Writing {
    /// Takes Ctrl-C over.
    pub(crate) fn start(lang: Lang) -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
        let bar = io::stderr().is_terminal().then(|| bar(lang.writing(), 0, 0));
        Ok(Writing { bar, interrupted })
    }

    /// Shows the bytes written, and says whether to go on.
    pub(crate) fn hear(&self, done: u64, total: u64) -> ControlFlow<()> {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        }
        if self.interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Turns the store's events into a bar, where stderr is a terminal, and into lines of text.
pub(crate) struct Reporter {
    lang: Lang,
    bar: Option<(Phase, ProgressBar)>,
}

impl Reporter {
    pub(crate) fn new(lang: Lang) -> Self {
        Self { lang, bar: None }
    }

    /// A monitor that reports here.
    pub(crate) fn monitor(&mut self) -> Monitor<'_> {
        Monitor::new(|event| self.hear(&event), CancelToken::new())
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Progress { phase, done, total } => self.progress(*phase, *done, *total),
            Event::Trying { source } => self.say(&self.lang.trying(source)),
            Event::Resuming { done } => self.say(&self.lang.resuming(*done)),
            Event::Retrying { error, wait } => {
                self.say(&self.lang.retrying(&messages::store_error(self.lang, error), *wait));
            }
            Event::SourceFailed { source, error } => {
                self.finish();
                self.say(&self.lang.source_failed(source, &messages::store_error(self.lang, error)));
            }
            Event::Unpinned { digest } => self.say(&self.lang.unpinned(&digest.to_string())),
            Event::Waiting => self.say(self.lang.waiting()),
            Event::AlreadyHere => self.say(self.lang.already_here()),
            _ => {}
        }
    }

    fn progress(&mut self, phase: Phase, done: u64, total: u64) {
        if !io::stderr().is_terminal() {
            return;
        }
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != phase) {
            self.finish();
            self.bar = Some((phase, bar(self.lang.phase(phase), done, total)));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// Prints a line above the bar.
    fn say(&self, text: &str) {
        match &self.bar {
            Some((_, bar)) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }
}

/// A bar with size, speed and time left, all of them from `done` on: what an earlier run fetched is no speed of this one.
pub(crate) fn bar(label: &'static str, done: u64, total: u64) -> ProgressBar {
    let template = "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
        .with_style(style.progress_chars("=> "))
        .with_message(label)
        .with_position(done);
    bar.reset_eta();
    // The time left counts down and a stalled transfer shows as one, without waiting for the next bytes.
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
