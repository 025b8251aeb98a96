//! The engine thread: it owns the executor, and turns waiting requests into batches.
//!
//! Requests of several sessions that wait at the same time run as one batch, so users share the reading of the weights.
//! Where a device chooses tokens itself, batches are started behind each other, and nobody waits for a token before the next
//! one is on its way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use silhak_ops::{Batch, Choice, Executor, KernelTime, MemoryUse, PageTable, Slot};

use crate::{CancelToken, Error};

/// Tokens of one sequence to run.
#[derive(Debug)]
pub(crate) struct Request {
    /// The tokens, at most the runner's `max_tokens`. [`Runner::run`] refuses more.
    pub(crate) tokens: Vec<u32>,
    /// Position of the first.
    pub(crate) start: usize,
    /// Where the sequence's keys and values live.
    pub(crate) tables: Vec<PageTable>,
    /// How many of the last tokens' logits are wanted, at most the runner's `max_outputs`. Likewise.
    pub(crate) n_outputs: usize,
    /// Ends the request with [`Error::Cancelled`], even while it runs if it runs alone.
    pub(crate) cancel: CancelToken,
}

/// Tokens of one sequence, after which the device chooses one.
#[derive(Debug)]
pub(crate) struct ChoiceRequest {
    /// The tokens, at most the runner's `max_tokens`; none goes on with what was chosen last for the slot.
    pub(crate) tokens: Vec<u32>,
    /// Position of the first.
    pub(crate) start: usize,
    /// Where the sequence's keys and values live.
    pub(crate) tables: Vec<PageTable>,
    /// Where the device keeps what it chooses.
    pub(crate) slot: Slot,
    /// How it chooses.
    pub(crate) choice: Choice,
}

impl ChoiceRequest {
    fn n_tokens(&self) -> usize {
        self.tokens.len().max(1)
    }
}

/// A token that the device will have chosen.
#[derive(Debug)]
pub(crate) struct ChosenToken(Receiver<Result<u32, Error>>);

impl ChosenToken {
    /// Waits for it.
    pub(crate) fn wait(self) -> Result<u32, Error> {
        self.0.recv().map_err(|_| Error::Stopped)?
    }
}

type Reply<T> = SyncSender<Result<T, Error>>;

/// What the engine thread is asked for.
enum Errand {
    Run(Request, Reply<Vec<f32>>),
    Choose(ChoiceRequest, Reply<u32>),
    Profile(SyncSender<Vec<KernelTime>>),
}

/// The engine thread's handle.
#[derive(Debug)]
pub(crate) struct Runner {
    errands: Option<Sender<Errand>>,
    thread: Option<JoinHandle<()>>,
    memory: MemoryUse,
    can_choose: bool,
    limits: Limits,
}

/// Of a batch.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_tokens: usize,
    max_outputs: usize,
}

impl Runner {
    pub(crate) fn start(executor: Box<dyn Executor>, max_tokens: usize, max_outputs: usize) -> Result<Self, Error> {
        let (memory, can_choose) = (executor.memory(), executor.can_choose());
        let limits = Limits { max_tokens, max_outputs };
        let (errands, waiting) = mpsc::channel();
        let server = Server { executor, waiting, next: None, limits, ahead: VecDeque::new() };
        let serve = move || server.serve();
        let thread = thread::Builder::new().name("silhak-engine".into()).spawn(serve).map_err(Error::Thread)?;
        Ok(Runner { errands: Some(errands), thread: Some(thread), memory, can_choose, limits })
    }

    /// What the executor holds.
    pub(crate) fn memory(&self) -> MemoryUse {
        self.memory
    }

    /// Most tokens in a request.
    pub(crate) fn max_tokens(&self) -> usize {
        self.limits.max_tokens
    }

    /// Most rows of logits in a request.
    pub(crate) fn max_outputs(&self) -> usize {
        self.limits.max_outputs
    }

    /// Whether tokens can be chosen on the device.
    pub(crate) fn can_choose(&self) -> bool {
        self.can_choose
    }

    /// Runs a request and waits for its logits: `[n_outputs, n_vocab]`.
    pub(crate) fn run(&self, request: Request) -> Result<Vec<f32>, Error> {
        self.check(request.tokens.len(), request.n_outputs)?;
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(Errand::Run(request, reply))?;
        answer.recv().map_err(|_| Error::Stopped)?
    }

    /// Has a request run, and does not wait for it. Requests of one sequence run in the order in which they come.
    pub(crate) fn choose(&self, request: ChoiceRequest) -> Result<ChosenToken, Error> {
        self.check(request.n_tokens(), 1)?;
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(Errand::Choose(request, reply))?;
        Ok(ChosenToken(answer))
    }

    /// What each kernel took since the last call.
    pub(crate) fn profile(&self) -> Result<Vec<KernelTime>, Error> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(Errand::Profile(reply))?;
        answer.recv().map_err(|_| Error::Stopped)
    }

    fn check(&self, n_tokens: usize, n_outputs: usize) -> Result<(), Error> {
        let Limits { max_tokens, max_outputs } = self.limits;
        let most_outputs = max_outputs.min(n_tokens);
        if n_tokens > max_tokens || n_outputs > most_outputs {
            return Err(Error::Run(Arc::new(silhak_ops::Error::Batch(format!(
                "expected at most {max_tokens} tokens and {most_outputs} outputs, found {n_tokens} and {n_outputs}"
            )))));
        }
        Ok(())
    }

    fn send(&self, errand: Errand) -> Result<(), Error> {
        self.errands.as_ref().and_then(|errands| errands.send(errand).ok()).ok_or(Error::Stopped)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.errands.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has already answered its callers with `Error::Stopped`.
            let _ = thread.join();
        }
    }
}

/// The engine thread.
struct Server {
    executor: Box<dyn Executor>,
    waiting: Receiver<Errand>,
    /// What was received and did not fit into a batch with what came before.
    next: Option<Errand>,
    limits: Limits,
    /// Who waits for each of the batches that were started and not finished, the oldest first.
    ahead: VecDeque<Vec<Reply<u32>>>,
}

impl Server {
    /// Serves until nobody can ask any more. A caller that no longer waits is not an error.
    fn serve(mut self) {
        loop {
            // While a batch runs, what comes in is started behind it; only when nothing does is it waited for.
            let errand = match self.next.take() {
                Some(errand) => Some(errand),
                None if self.ahead.is_empty() => match self.waiting.recv() {
                    Ok(errand) => Some(errand),
                    Err(_) => return,
                },
                None => self.waiting.try_recv().ok(),
            };
            match errand {
                None => self.finish_oldest(),
                Some(Errand::Run(request, reply)) => {
                    self.finish_all();
                    let jobs = self.gather_runs(request, reply);
                    run_together(self.executor.as_mut(), jobs);
                }
                Some(Errand::Choose(request, reply)) => {
                    let jobs = self.gather_choices(request, reply);
                    self.start_together(jobs);
                }
                Some(Errand::Profile(reply)) => {
                    self.finish_all();
                    let _ = reply.send(self.executor.profile());
                }
            }
        }
    }

    /// The requests for logits that wait now and fit into one batch.
    fn gather_runs(&mut self, first: Request, reply: Reply<Vec<f32>>) -> Vec<(Request, Reply<Vec<f32>>)> {
        let (mut n_tokens, mut n_outputs) = (first.tokens.len(), first.n_outputs);
        let mut jobs = vec![(first, reply)];
        while let Ok(errand) = self.waiting.try_recv() {
            match errand {
                Errand::Run(request, reply)
                    if n_tokens + request.tokens.len() <= self.limits.max_tokens
                        && n_outputs + request.n_outputs <= self.limits.max_outputs =>
                {
                    n_tokens += request.tokens.len();
                    n_outputs += request.n_outputs;
                    jobs.push((request, reply));
                }
                other => {
                    self.next = Some(other);
                    break;
                }
            }
        }
        jobs
    }

    /// The requests for tokens that wait now and fit into one batch. Those of one sequence build on each other, so each has
    /// a batch of its own.
    fn gather_choices(&mut self, first: ChoiceRequest, reply: Reply<u32>) -> Vec<(ChoiceRequest, Reply<u32>)> {
        let most = self.limits.max_outputs.min(Choice::MOST_IN_BATCH);
        let mut n_tokens = first.n_tokens();
        let mut jobs = vec![(first, reply)];
        while jobs.len() < most {
            match self.waiting.try_recv() {
                Ok(Errand::Choose(request, reply))
                    if n_tokens + request.n_tokens() <= self.limits.max_tokens
                        && jobs.iter().all(|(other, _)| other.slot != request.slot) =>
                {
                    n_tokens += request.n_tokens();
                    jobs.push((request, reply));
                }
                other => {
                    self.next = other.ok();
                    break;
                }
            }
        }
        jobs
    }

    fn start_together(&mut self, jobs: Vec<(ChoiceRequest, Reply<u32>)>) {
        let mut batch = Batch::new();
        let mut replies = Vec::with_capacity(jobs.len());
        for (request, reply) in jobs {
            let ChoiceRequest { tokens, start, tables, slot, choice } = request;
            let sequence = batch.add_sequence(tables);
            if tokens.is_empty() {
                batch.add_chosen_token(sequence, slot, start as u32);
            }
            for (i, token) in tokens.into_iter().enumerate() {
                batch.add_token(sequence, token, (start + i) as u32, false);
            }
            batch.choose(slot, choice);
            replies.push(reply);
        }
        tracing::trace!(n_sequences = replies.len(), n_tokens = batch.n_tokens(), "batch ahead");
        match self.executor.start(&batch) {
            Ok(()) => self.ahead.push_back(replies),
            Err(error) => refuse(replies, error),
        }
    }

    fn finish_oldest(&mut self) {
        let Some(replies) = self.ahead.pop_front() else { return };
        match self.executor.finish() {
            Ok(tokens) => {
                for (reply, token) in replies.into_iter().zip(tokens) {
                    let _ = reply.send(token.ok_or(Error::NotFinite));
                }
            }
            Err(error) => refuse(replies, error),
        }
    }

    fn finish_all(&mut self) {
        while !self.ahead.is_empty() {
            self.finish_oldest();
        }
    }
}

/// Runs requests as one batch and answers each.
fn run_together(executor: &mut dyn Executor, jobs: Vec<(Request, Reply<Vec<f32>>)>) {
    let mut batch = Batch::new();
    // One of several who share a batch must not end it for the others.
    if let [(request, _)] = &jobs[..] {
        batch.cancel_with(request.cancel.flag());
    }
    let mut replies = Vec::with_capacity(jobs.len());
    for (request, reply) in jobs {
        let sequence = batch.add_sequence(request.tables);
        let first_output = request.tokens.len() - request.n_outputs;
        for (i, token) in request.tokens.into_iter().enumerate() {
            batch.add_token(sequence, token, (request.start + i) as u32, i >= first_output);
        }
        replies.push((request.n_outputs, reply));
    }
    tracing::trace!(n_sequences = replies.len(), n_tokens = batch.n_tokens(), n_outputs = batch.n_outputs(), "batch");
    let mut logits = [Vec::new()];
    match executor.run(&batch, &[], &mut logits) {
        Ok(()) => {
            let n_vocab = logits[0].len() / batch.n_outputs().max(1);
            let mut rows = logits[0].as_slice();
            for (n, reply) in replies {
                let (own, rest) = rows.split_at(n * n_vocab);
                let _ = reply.send(Ok(own.to_vec()));
                rows = rest;
            }
        }
        Err(error) => refuse(replies.into_iter().map(|(_, reply)| reply).collect(), error),
    }
}

fn refuse<T>(replies: Vec<Reply<T>>, error: silhak_ops::Error) {
    let error = Arc::new(error);
    for reply in replies {
        let told = match *error {
            silhak_ops::Error::Cancelled => Error::Cancelled,
            _ => Error::Run(Arc::clone(&error)),
        };
        let _ = reply.send(Err(told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use silhak_ops::Page;

    /// Gives each output the position of its token, as logits of a vocabulary of two.
    struct Echo;

    impl Executor for Echo {
        fn run(&mut self, batch: &Batch, _: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), silhak_ops::Error> {
            let position = |&token: &u32| batch.positions()[token as usize] as f32;
            outputs[0] = batch.outputs().iter().map(position).flat_map(|x| [x, -x]).collect();
            Ok(())
        }

        fn copy_page(&mut self, _: usize, _: Page, _: Page) -> Result<(), silhak_ops::Error> {
            Ok(())
        }

        fn memory(&self) -> MemoryUse {
            MemoryUse::default()
        }
    }

    #[test]
    fn requests_beyond_the_limits_are_refused_and_others_still_run() {
        let runner = Runner::start(Box::new(Echo), 4, 2).unwrap();
        let run = |n_tokens, n_outputs| {
            let (tokens, cancel) = (vec![0; n_tokens], CancelToken::new());
            runner.run(Request { tokens, start: 10, tables: Vec::new(), n_outputs, cancel })
        };
        for (n_tokens, n_outputs) in [(5, 1), (4, 3), (1, 2), (0, 1)] {
            let error = run(n_tokens, n_outputs).unwrap_err().to_string();
            assert!(error.contains(&format!("found {n_tokens} and {n_outputs}")), "{error}");
        }
        assert_eq!(run(4, 2).unwrap(), [12.0, -12.0, 13.0, -13.0]);
        assert_eq!(run(3, 0).unwrap(), [0.0; 0]);
    }
}
