//! The engine thread: it owns the executor, and turns waiting requests into batches.
//!
//! Requests of several sessions that wait at the same time run as one batch, so users share the reading of the weights.
//! Where a device chooses tokens itself, batches are started behind each other, and nobody waits for a token before the next
//! one is on its way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use silhak_ops::{Batch, Choice, Error as OpsError, ExecConfig, KernelTime, PageTable, Slot};

use crate::pages::PagePool;
use crate::renewable::{Footing, Renewable};
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
    /// The pool's epoch since which they live there.
    pub(crate) epoch: u64,
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
    /// The pool's epoch since which they live there.
    pub(crate) epoch: u64,
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
    footing: Arc<Footing>,
    limits: Limits,
}

/// Of a batch.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_tokens: usize,
    max_outputs: usize,
}

impl Runner {
    pub(crate) fn start(executor: Renewable, pool: Arc<PagePool>) -> Result<Self, Error> {
        let &ExecConfig { max_tokens, max_outputs, .. } = executor.config();
        let (limits, footing) = (Limits { max_tokens, max_outputs }, Arc::clone(executor.footing()));
        let (errands, waiting) = mpsc::channel();
        let server = Server { executor, pool, waiting, next: None, limits, ahead: VecDeque::new() };
        let serve = move || server.serve();
        let thread = thread::Builder::new().name("silhak-engine".into()).spawn(serve).map_err(Error::Thread)?;
        Ok(Runner { errands: Some(errands), thread: Some(thread), footing, limits })
    }

    /// What runs the batches.
    pub(crate) fn footing(&self) -> &Footing {
        &self.footing
    }

    /// Most tokens in a request.
    pub(crate) fn max_tokens(&self) -> usize {
        self.limits.max_tokens
    }

    /// Most rows of logits in a request.
    pub(crate) fn max_outputs(&self) -> usize {
        self.limits.max_outputs
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
            return Err(Error::Run(Arc::new(OpsError::Batch(format!(
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
    executor: Renewable,
    pool: Arc<PagePool>,
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
                    self.run_together(jobs);
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

    /// Runs requests as one batch and answers each.
    fn run_together(&mut self, jobs: Vec<(Request, Reply<Vec<f32>>)>) {
        let jobs = self.without_lost(jobs, |request| request.epoch);
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
        if replies.is_empty() {
            return;
        }
        tracing::trace!(
            n_sequences = replies.len(),
            n_tokens = batch.n_tokens(),
            n_outputs = batch.n_outputs(),
            "batch"
        );
        let mut logits = [Vec::new()];
        match self.executor.ready().and_then(|executor| executor.run(&batch, &[], &mut logits)) {
            Ok(()) => {
                let n_vocab = logits[0].len() / batch.n_outputs().max(1);
                let mut rows = logits[0].as_slice();
                for (n, reply) in replies {
                    let (own, rest) = rows.split_at(n * n_vocab);
                    let _ = reply.send(Ok(own.to_vec()));
                    rows = rest;
                }
            }
            Err(error) => self.fail(replies.into_iter().map(|(_, reply)| reply).collect(), error),
        }
    }

    fn start_together(&mut self, jobs: Vec<(ChoiceRequest, Reply<u32>)>) {
        let jobs = self.without_lost(jobs, |request| request.epoch);
        let mut batch = Batch::new();
        let mut replies = Vec::with_capacity(jobs.len());
        for (request, reply) in jobs {
            let ChoiceRequest { tokens, start, tables, slot, choice, .. } = request;
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
        if replies.is_empty() {
            return;
        }
        tracing::trace!(n_sequences = replies.len(), n_tokens = batch.n_tokens(), "batch ahead");
        let executor = match self.executor.ready() {
            Ok(executor) => executor,
            Err(error) => return self.fail(replies, error),
        };
        if !executor.can_choose() {
            return refuse(replies, &Arc::new(lost("no longer chooses tokens")));
        }
        match executor.start(&batch) {
            Ok(()) => self.ahead.push_back(replies),
            Err(error) => self.fail(replies, error),
        }
    }

    fn finish_oldest(&mut self) {
        let Some(replies) = self.ahead.pop_front() else { return };
        match self.executor.ready().and_then(|executor| executor.finish()) {
            Ok(tokens) => {
                for (reply, token) in replies.into_iter().zip(tokens) {
                    let _ = reply.send(token.ok_or(Error::NotFinite));
                }
            }
            Err(error) => self.fail(replies, error),
        }
    }

    fn finish_all(&mut self) {
        while !self.ahead.is_empty() {
            self.finish_oldest();
        }
    }

    /// The requests that do not build on what is lost; the others are told.
    fn without_lost<R, T>(&self, jobs: Vec<(R, Reply<T>)>, epoch: impl Fn(&R) -> u64) -> Vec<(R, Reply<T>)> {
        let now = self.pool.epoch();
        let (jobs, late): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|(request, _)| epoch(request) == now);
        refuse(late.into_iter().map(|(_, reply)| reply).collect(), &Arc::new(lost("a GPU was lost meanwhile")));
        jobs
    }

    /// Tells who waited that their batch failed. With a device goes all that is stored, and all that was started.
    fn fail<T>(&mut self, replies: Vec<Reply<T>>, error: OpsError) {
        let error = Arc::new(error);
        if let OpsError::DeviceLost { .. } = *error {
            self.executor.lose();
            self.pool.lose_all();
            for replies in self.ahead.drain(..) {
                refuse(replies, &error);
            }
        }
        refuse(replies, &error);
    }
}

/// Tells who waited what went wrong.
fn refuse<T>(replies: Vec<Reply<T>>, error: &Arc<OpsError>) {
    for reply in replies {
        let told = match **error {
            OpsError::Cancelled => Error::Cancelled,
            _ => Error::Run(Arc::clone(error)),
        };
        let _ = reply.send(Err(told));
    }
}

fn lost(message: &str) -> OpsError {
    OpsError::DeviceLost { backend: "engine".into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use silhak_model::GpuLayers;
    use silhak_ops::{Backend, Executor, KvConfig, KvElement, MemoryUse, Page, Plan, PlanBuilder};

    use super::*;
    use crate::devices::{Devices, Host};
    use crate::placement::Placement;

    /// Gives each output the position of its token, as logits of a vocabulary of two.
    struct Echo;

    impl Backend for Echo {
        fn name(&self) -> String {
            "echo".into()
        }

        fn prepare(&self, _: &Arc<Plan>, _: &[Bytes], _: &ExecConfig) -> Result<Box<dyn Executor>, OpsError> {
            Ok(Box::new(Echo))
        }

        fn estimate(&self, _: &Plan, _: &ExecConfig) -> Result<MemoryUse, OpsError> {
            Ok(MemoryUse::default())
        }
    }

    impl Executor for Echo {
        fn run(&mut self, batch: &Batch, _: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), OpsError> {
            let position = |&token: &u32| batch.positions()[token as usize] as f32;
            outputs[0] = batch.outputs().iter().map(position).flat_map(|x| [x, -x]).collect();
            Ok(())
        }

        fn copy_page(&mut self, _: usize, _: Page, _: Page) -> Result<(), OpsError> {
            Ok(())
        }

        fn memory(&self) -> MemoryUse {
            MemoryUse::default()
        }
    }

    /// At most four tokens and two outputs in a batch.
    fn runner() -> (Runner, Arc<PagePool>) {
        let kv = KvConfig { page_len: 4, n_pages: Vec::new(), element: KvElement::F32 };
        let config = ExecConfig { kv, max_tokens: 4, max_outputs: 2 };
        let plan = Arc::new(PlanBuilder::new().finish().unwrap());
        let devices = Devices { host: Host::of(Echo), card: None };
        let placement = Placement::first(&devices, &plan, &config, GpuLayers::Auto).unwrap();
        let executor = Renewable::prepare(placement, devices, &plan, &[], config, GpuLayers::Auto).unwrap();
        let pool = Arc::new(PagePool::new(&[], &[], 4));
        (Runner::start(executor, Arc::clone(&pool)).unwrap(), pool)
    }

    fn request(n_tokens: usize, n_outputs: usize, epoch: u64) -> Request {
        let (tokens, cancel) = (vec![0; n_tokens], CancelToken::new());
        Request { tokens, start: 10, tables: Vec::new(), epoch, n_outputs, cancel }
    }

    #[test]
    fn requests_beyond_the_limits_are_refused_and_others_still_run() {
        let runner = runner().0;
        let run = |n_tokens, n_outputs| runner.run(request(n_tokens, n_outputs, 0));
        for (n_tokens, n_outputs) in [(5, 1), (4, 3), (1, 2), (0, 1)] {
            let error = run(n_tokens, n_outputs).unwrap_err().to_string();
            assert!(error.contains(&format!("found {n_tokens} and {n_outputs}")), "{error}");
        }
        assert_eq!(run(4, 2).unwrap(), [12.0, -12.0, 13.0, -13.0]);
        assert_eq!(run(3, 0).unwrap(), [0.0; 0]);
    }

    #[test]
    fn a_request_that_builds_on_what_is_lost_is_refused() {
        let (runner, pool) = runner();
        pool.lose_all();
        assert!(runner.run(request(1, 1, 0)).unwrap_err().is_retryable());
        assert_eq!(runner.run(request(1, 1, 1)).unwrap(), [10.0, -10.0]);
    }
}
