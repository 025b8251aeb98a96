//! How long operations report progress and how they are told to stop.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::name::Digest;
use crate::{Result, StoreError};

/// Something that happens during a pull, an import or a verification.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A source is about to be tried.
    Trying {
        /// The source, as it is shown to users.
        source: &'a str,
    },
    /// Bytes went through. Sent at most about twenty times a second, and once at the end of each phase.
    Progress {
        /// What is being done with the bytes.
        phase: Phase,
        /// Bytes done.
        done: u64,
        /// Bytes to do in this phase.
        total: u64,
    },
    /// A download goes on from what an earlier one left.
    Resuming {
        /// Bytes already here.
        done: u64,
    },
    /// A transient failure; the same source is tried again after `wait`.
    Retrying {
        /// What went wrong.
        error: &'a StoreError,
        /// How long the pause is.
        wait: Duration,
    },
    /// A source failed for good; the next one, if any, is tried.
    SourceFailed {
        /// The source.
        source: &'a str,
        /// What went wrong.
        error: &'a StoreError,
    },
    /// The catalogue has no digest of this file: the one the server announces is what it is checked against.
    Unpinned {
        /// The announced digest.
        digest: &'a Digest,
    },
    /// Another process is fetching the same file; this one waits for it.
    Waiting,
    /// The model is in the store already; nothing was fetched.
    AlreadyHere,
}

/// What is being done with the bytes that [`Event::Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Coming over the network.
    Downloading,
    /// Being taken out of a package.
    Unpacking,
    /// Being copied into the store.
    Copying,
    /// Being read to compute their SHA-256.
    Hashing,
}

/// A flag that any thread may set to stop a running operation within a fraction of a second.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<CancelState>);

#[derive(Default)]
struct CancelState {
    cancelled: AtomicBool,
    hooks: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the operation that holds this token. A download keeps what it has for the next time.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        let hooks = std::mem::take(&mut *self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner));
        hooks.into_iter().for_each(|hook| hook());
    }

    /// Whether [`CancelToken::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Runs `hook` on cancellation, at once if that has happened: for waking up reads that block on a socket.
    pub(crate) fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
        if self.is_cancelled() {
            self.cancel();
        }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken").field(&self.is_cancelled()).finish()
    }
}

/// The caller's ear and hand in a long operation: a function that hears [`Event`]s, and a [`CancelToken`].
pub struct Monitor<'a> {
    on_event: Box<dyn FnMut(Event<'_>) + 'a>,
    cancel: CancelToken,
    last_progress: Option<(Phase, Instant)>,
}

/// The shortest time between two reports of one phase.
const PROGRESS_PERIOD: Duration = Duration::from_millis(50);

impl<'a> Monitor<'a> {
    /// Hears events through `on_event`, stops when `cancel` says so.
    pub fn new(on_event: impl FnMut(Event<'_>) + 'a, cancel: CancelToken) -> Self {
        Self { on_event: Box::new(on_event), cancel, last_progress: None }
    }

    /// Hears nothing and is never cancelled.
    pub fn silent() -> Self {
        Self::new(|_| {}, CancelToken::new())
    }

    pub(crate) fn event(&mut self, event: Event<'_>) {
        log(&event);
        (self.on_event)(event);
    }

    /// Reports progress if it is time to.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`], so that every loop that reports also stops.
    pub(crate) fn progress(&mut self, phase: Phase, done: u64, total: u64) -> Result<()> {
        let due = match self.last_progress {
            Some((last, at)) => last != phase || done >= total || at.elapsed() >= PROGRESS_PERIOD,
            None => true,
        };
        if due {
            self.last_progress = Some((phase, Instant::now()));
            self.event(Event::Progress { phase, done, total });
        }
        self.check_cancelled()
    }

    pub(crate) fn check_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(StoreError::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    /// Sleeps, waking up early on cancellation.
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check_cancelled()?;
            match end.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => std::thread::sleep(left.min(Duration::from_millis(100))),
                _ => return Ok(()),
            }
        }
    }
}

/// Writes what happens to the log; the caller tells it to people, so nothing here is a warning.
fn log(event: &Event<'_>) {
    match event {
        Event::Progress { .. } => {}
        Event::Trying { source } => tracing::info!(source, "trying"),
        Event::Resuming { done } => tracing::info!(bytes = done, "resuming"),
        Event::Retrying { error, wait } => tracing::info!(%error, ?wait, "retrying"),
        Event::SourceFailed { source, error } => tracing::info!(source, %error, "source failed"),
        Event::Unpinned { digest } => tracing::info!(announced = %digest, "not pinned by the catalogue"),
        Event::Waiting => tracing::info!("waiting for another process"),
        Event::AlreadyHere => tracing::info!("in the store already"),
    }
}

impl fmt::Debug for Monitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_run_once_whether_set_before_or_after() {
        let (token, count) = (CancelToken::new(), Arc::new(Mutex::new(0)));
        let hook = |count: &Arc<Mutex<i32>>| {
            let count = Arc::clone(count);
            move || *count.lock().unwrap() += 1
        };
        token.on_cancel(hook(&count));
        assert_eq!(*count.lock().unwrap(), 0);
        token.clone().cancel();
        token.cancel();
        assert_eq!(*count.lock().unwrap(), 1);
        token.on_cancel(hook(&count));
        assert_eq!(*count.lock().unwrap(), 2);
    }

    #[test]
    fn progress_is_thinned_out_but_the_end_is_heard() {
        let mut heard = Vec::new();
        let listen = |event: Event<'_>| {
            if let Event::Progress { done, .. } = event {
                heard.push(done);
            }
        };
        let mut monitor = Monitor::new(listen, CancelToken::new());
        (0..=1000).for_each(|done| monitor.progress(Phase::Copying, done, 1000).unwrap());
        drop(monitor);
        assert!(heard.len() < 100 && heard.first() == Some(&0) && heard.last() == Some(&1000), "{heard:?}");
    }
}
