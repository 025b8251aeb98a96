//! The engine thread: it owns the executor, and turns waiting requests into batches.
//!
//! Requests of several sessions that wait at the same time run as one batch, so users share the reading of the weights.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use silhak_ops::{Batch, Executor, KernelTime, MemoryUse, PageTable};

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

struct Job {
    request: Request,
    reply: SyncSender<Result<Vec<f32>, Error>>,
}

/// What the engine thread is asked for.
enum Errand {
    Run(Job),
    Profile(SyncSender<Vec<KernelTime>>),
}

/// The engine thread's handle.
#[derive(Debug)]
pub(crate) struct Runner {
    errands: Option<Sender<Errand>>,
    thread: Option<JoinHandle<()>>,
    memory: MemoryUse,
    max_tokens: usize,
    max_outputs: usize,
}

impl Runner {
    pub(crate) fn start(executor: Box<dyn Executor>, max_tokens: usize, max_outputs: usize) -> Result<Self, Error> {
        let memory = executor.memory();
        let (errands, waiting) = mpsc::channel();
        let serve = move || serve(executor, &waiting, max_tokens, max_outputs);
        let thread = thread::Builder::new().name("silhak-engine".into()).spawn(serve).map_err(Error::Thread)?;
        Ok(Runner { errands: Some(errands), thread: Some(thread), memory, max_tokens, max_outputs })
    }

    /// What the executor holds.
    pub(crate) fn memory(&self) -> MemoryUse {
        self.memory
    }

    /// Most tokens in a request.
    pub(crate) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Most rows of logits in a request.
    pub(crate) fn max_outputs(&self) -> usize {
        self.max_outputs
    }

    /// Runs a request and waits for its logits: `[n_outputs, n_vocab]`.
    pub(crate) fn run(&self, request: Request) -> Result<Vec<f32>, Error> {
        let (n_tokens, n_outputs) = (request.tokens.len(), request.n_outputs);
        let most_outputs = self.max_outputs.min(n_tokens);
        if n_tokens > self.max_tokens || n_outputs > most_outputs {
            return Err(Error::Run(Arc::new(silhak_ops::Error::Batch(format!(
                "expected at most {} tokens and {most_outputs} outputs, found {n_tokens} and {n_outputs}",
                self.max_tokens
            )))));
        }
        self.ask(|reply| Errand::Run(Job { request, reply }))?
    }

    /// What each kernel took since the last call.
    pub(crate) fn profile(&self) -> Result<Vec<KernelTime>, Error> {
        self.ask(Errand::Profile)
    }

    fn ask<T>(&self, errand: impl FnOnce(SyncSender<T>) -> Errand) -> Result<T, Error> {
        let (reply, answer) = mpsc::sync_channel(1);
        let errands = self.errands.as_ref().ok_or(Error::Stopped)?;
        errands.send(errand(reply)).map_err(|_| Error::Stopped)?;
        answer.recv().map_err(|_| Error::Stopped)
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

fn serve(mut executor: Box<dyn Executor>, waiting: &Receiver<Errand>, max_tokens: usize, max_outputs: usize) {
    let mut next = None;
    loop {
        let first = match next.take().or_else(|| waiting.recv().ok()) {
            None => return,
            Some(Errand::Run(job)) => job,
            Some(Errand::Profile(reply)) => {
                let _ = reply.send(executor.profile());
                continue;
            }
        };
        let (mut n_tokens, mut n_outputs) = (first.request.tokens.len(), first.request.n_outputs);
        let mut jobs = vec![first];
        while let Ok(errand) = waiting.try_recv() {
            match errand {
                Errand::Run(job)
                    if n_tokens + job.request.tokens.len() <= max_tokens
                        && n_outputs + job.request.n_outputs <= max_outputs =>
                {
                    n_tokens += job.request.tokens.len();
                    n_outputs += job.request.n_outputs;
                    jobs.push(job);
                }
                other => {
                    next = Some(other);
                    break;
                }
            }
        }
        run_together(executor.as_mut(), jobs);
    }
}

/// Runs jobs as one batch and answers each. A caller that no longer waits is not an error.
fn run_together(executor: &mut dyn Executor, jobs: Vec<Job>) {
    let mut batch = Batch::new();
    // One of several who share a batch must not end it for the others.
    if let [job] = &jobs[..] {
        batch.cancel_with(job.request.cancel.flag());
    }
    let mut replies = Vec::with_capacity(jobs.len());
    for Job { request, reply } in jobs {
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
        Err(silhak_ops::Error::Cancelled) => {
            for (_, reply) in replies {
                let _ = reply.send(Err(Error::Cancelled));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for (_, reply) in replies {
                let _ = reply.send(Err(Error::Run(Arc::clone(&error))));
            }
        }
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
