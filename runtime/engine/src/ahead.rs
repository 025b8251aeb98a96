//! A generation whose tokens the device chooses: it is ahead of whoever reads them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use silhak_ops::Slot;

use crate::runner::{ChoiceRequest, ChosenToken};
use crate::sampling::Sampler;
use crate::{CancelToken, Error, Session};

/// The requests of a generation that are on their way.
#[derive(Debug)]
pub(crate) struct Ahead {
    slot: Slot,
    /// The oldest first.
    requests: VecDeque<OnItsWay>,
    /// The token that was read last, which the oldest request goes on with.
    last: Option<u32>,
    /// How long the last token took.
    pace: Option<Duration>,
}

#[derive(Debug)]
struct OnItsWay {
    token: ChosenToken,
    /// The tokens that run; none where it is the one before, which nobody knew when it was sent.
    runs: Vec<u32>,
}

impl OnItsWay {
    fn n_tokens(&self) -> usize {
        self.runs.len().max(1)
    }
}

/// Requests on their way: one that runs, one that is ready to, and one on its way to the engine thread.
const DEEP: usize = 3;

/// A token that takes longer gains nothing from running ahead, and the end of an answer would wait for tokens that nobody
/// wants.
const SLOW: Duration = Duration::from_millis(30);

impl Ahead {
    pub(crate) fn new(slot: Slot) -> Self {
        Ahead { slot, requests: VecDeque::new(), last: None, pace: None }
    }

    /// Waits for the next token, with others behind it; `None` when cancelled. `pending` is what runs first, at the
    /// beginning; afterwards it is what was chosen. `most` tokens may come, this one included.
    pub(crate) fn next_token(
        &mut self,
        session: &mut Session,
        pending: Vec<u32>,
        sampler: &mut Sampler,
        most: usize,
        cancel: &CancelToken,
    ) -> Result<Option<u32>, Error> {
        let begun = Instant::now();
        if cancel.is_cancelled() {
            return Ok(None);
        }
        if self.requests.is_empty() {
            let n_last = (pending.len() - 1) % session.model.shared.runner.max_tokens() + 1;
            let (before, last) = pending.split_at(pending.len() - n_last);
            if !before.is_empty() && session.run(before, false, cancel)?.is_none() {
                return Ok(None);
            }
            self.send(session, last.to_vec(), sampler)?;
        }
        let is_fast = self.pace.is_some_and(|pace| pace < SLOW);
        while is_fast && self.requests.len() < DEEP.min(most) && self.end(session) < session.model.n_ctx() {
            if let Err(error) = self.send(session, Vec::new(), sampler) {
                // Others may give pages back before it comes to that.
                tracing::debug!(%error, "not running ahead");
                break;
            }
        }
        let Some(OnItsWay { token, runs }) = self.requests.pop_front() else { return Ok(None) };
        let token = token.wait()?;
        let runs = if runs.is_empty() { self.last.into_iter().collect() } else { runs };
        session.sequence.advance(runs.len());
        session.stored.extend(runs);
        self.pace = self.last.replace(token).map(|_| begun.elapsed());
        Ok(Some(token))
    }

    /// The position after all that are on their way.
    fn end(&self, session: &Session) -> usize {
        session.sequence.len() + self.requests.iter().map(OnItsWay::n_tokens).sum::<usize>()
    }

    fn send(&mut self, session: &mut Session, tokens: Vec<u32>, sampler: &mut Sampler) -> Result<(), Error> {
        let start = self.end(session);
        let Session { model, sequence, .. } = session;
        sequence.reserve(start + tokens.len().max(1) - sequence.len())?;
        let (tables, epoch, slot, choice) = (sequence.tables().to_vec(), sequence.epoch(), self.slot, sampler.choice());
        let request = ChoiceRequest { tokens: tokens.clone(), start, tables, epoch, slot, choice };
        self.requests.push_back(OnItsWay { token: model.shared.runner.choose(request)?, runs: tokens });
        Ok(())
    }

    /// Waits for what nobody will read, whatever comes of it: until then it may write into the sequence's pages.
    pub(crate) fn settle(&mut self) {
        for OnItsWay { token, .. } in self.requests.drain(..) {
            let _ = token.wait();
        }
    }
}
