//! The steps that choose a token from each row of logits.

use silhak_ops::{Choice, ExecConfig, Plan, Rows};
use silhak_shaders::{MOST_TOP_K, Shader};

use super::{Compiler, VALUES, Work};
use crate::GpuError;
use crate::buffer::Buffer;

/// Most parts of a vocabulary whose candidates a workgroup can compare.
const MOST_PARTS: u32 = Shader::CHOICE_PART / MOST_TOP_K;

/// Entries of the vocabulary that a plan's only output has logits of, if tokens can be chosen from it.
pub(crate) fn vocabulary(plan: &Plan) -> Option<u32> {
    let [output] = plan.outputs() else { return None };
    let logits = plan.value(*output);
    let is_choosable = plan.inputs().is_empty()
        && logits.rows == Rows::Outputs
        && plan.n_vocab() == Some(logits.width)
        && parts(logits.width as u32) <= MOST_PARTS;
    is_choosable.then_some(logits.width as u32)
}

/// Bytes of what choosing needs.
pub(crate) fn choosing_bytes(plan: &Plan, config: &ExecConfig) -> usize {
    let candidates = vocabulary(plan).map_or(0, |n_vocab| candidate_bytes(n_vocab) as usize);
    candidates + 4 * config.kv.n_slots()
}

fn parts(n_vocab: u32) -> u32 {
    n_vocab.div_ceil(Shader::CHOICE_PART)
}

fn candidate_bytes(n_vocab: u32) -> u64 {
    8 * Choice::MOST_IN_BATCH as u64 * u64::from(parts(n_vocab) * MOST_TOP_K)
}

impl Compiler<'_> {
    /// Adds the steps, and tells where the tokens of a batch will be; `None` where the plan has no logits to choose from.
    pub(super) fn choosing(&mut self) -> Result<Option<Buffer>, GpuError> {
        let Some(n_vocab) = vocabulary(self.plan) else { return Ok(None) };
        let logits = self.slot(self.plan.outputs()[0]);
        let candidates = self.device.storage("candidates", candidate_bytes(n_vocab))?;
        let tokens = self.device.storage(VALUES, 4 * Choice::MOST_IN_BATCH as u64)?;
        let (n_parts, rows) = (parts(n_vocab), Rows::Outputs);
        let params = [n_vocab, n_parts];
        let work = Work::PerRow { shader: Shader::Candidates, groups: n_parts, rows };
        self.push_buffers(work, &params, vec![logits, candidates.clone()]);
        let work = Work::RowGroups { shader: Shader::Choose, rows };
        self.push_buffers(work, &params, vec![candidates, self.chosen.clone(), tokens.clone()]);
        Ok(Some(tokens))
    }
}
