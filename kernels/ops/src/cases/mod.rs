//! One table of cases per op. They drive the correctness tests of every backend, its micro-benchmarks, and the support
//! matrix in the documentation.
//!
//! A [`Case`] is a plan of one op (attention comes with the KV write that it needs), random weights, and one or more
//! batches to run in order. The numbers are random but seeded, so a failure repeats.

mod attention;
mod experts;
mod heads;
mod linear;
mod random;
mod small;

use std::sync::Arc;

use bytes::Bytes;

use crate::{Backend, Batch, Error, ExecConfig, KvConfig, KvElement, Plan};

pub use attention::attention_cases;
pub use experts::expert_cases;
pub use heads::head_cases;
pub use linear::linear_cases;
pub use random::Random;
pub use small::{embed_cases, gate_cases, rms_norm_cases, rope_cases, small_cases};

/// A plan with data to run it on.
#[derive(Clone, Debug)]
pub struct Case {
    /// The op and what is special about the case: `linear q4_k 33x512 n=3`.
    pub name: String,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The data of its weights.
    pub weights: Vec<Bytes>,
    /// Pages for its attention layers.
    pub kv: KvConfig,
    /// What to run, in order.
    pub steps: Vec<Step>,
}

/// One call of a case's plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// The tokens.
    pub batch: Batch,
    /// The plan's inputs: `[n_tokens, width]` each.
    pub inputs: Vec<Vec<f32>>,
}

impl Case {
    /// A case without attention.
    fn without_kv(name: String, plan: Plan, weights: Vec<Bytes>, steps: Vec<Step>) -> Self {
        let kv = KvConfig { page_len: 1, n_pages: Vec::new(), element: KvElement::F32 };
        Case { name, plan: Arc::new(plan), weights, kv, steps }
    }

    /// Runs the steps on a backend, and returns the outputs of each. Outputs are poisoned with NaN before each step, so
    /// that a value which is not written shows.
    pub fn run(&self, backend: &dyn Backend) -> Result<Vec<Vec<Vec<f32>>>, Error> {
        let most = |count: fn(&Batch) -> usize| self.steps.iter().map(|s| count(&s.batch)).max().unwrap_or(0);
        let config =
            ExecConfig { kv: self.kv.clone(), max_tokens: most(Batch::n_tokens), max_outputs: most(Batch::n_outputs) };
        let mut executor = backend.prepare(&self.plan, &self.weights, &config)?;
        let run = |step: &Step| {
            let inputs: Vec<&[f32]> = step.inputs.iter().map(Vec::as_slice).collect();
            let poisoned = |id: &crate::ValueId| vec![f32::NAN; step.batch.n_tokens() * self.plan.value(*id).width];
            let mut outputs: Vec<Vec<f32>> = self.plan.outputs().iter().map(poisoned).collect();
            executor.run(&step.batch, &inputs, &mut outputs)?;
            Ok(outputs)
        };
        self.steps.iter().map(run).collect()
    }
}

/// Every case of every op.
pub fn all_cases() -> Vec<Case> {
    [
        linear_cases(),
        expert_cases(),
        head_cases(),
        embed_cases(),
        rms_norm_cases(),
        rope_cases(),
        gate_cases(),
        small_cases(),
        attention_cases(),
    ]
    .concat()
}

/// A batch of `n` tokens of one sequence without pages, each wanting logits.
fn plain_batch(n: usize) -> Batch {
    let mut batch = Batch::new();
    let sequence = batch.add_sequence(Vec::new());
    (0..n as u32).for_each(|i| batch.add_token(sequence, 0, i, true));
    batch
}
