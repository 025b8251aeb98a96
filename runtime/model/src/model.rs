//! A model file, ready for a backend.

use std::sync::Arc;

use bytes::Bytes;
use silhak_gguf::Gguf;
use silhak_ops::{Plan, PlanBuilder};

use crate::arch;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;
use crate::{Error, architectures};

/// The forward pass of a model file, and its weights where they lie in the file.
#[derive(Clone, Debug)]
pub struct Model {
    hyper: HyperParams,
    plan: Arc<Plan>,
    weights: Vec<Bytes>,
}

impl Model {
    /// Reads the hyper-parameters, checks the tensors and writes the plan. Touches no weight.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, Error> {
        let metadata = gguf.metadata();
        let name = metadata.str("general.architecture")?;
        let write = arch::find(name).ok_or_else(|| Error::UnknownArchitecture {
            name: name.into(),
            known: architectures().collect::<Vec<_>>().join(", "),
        })?;
        let n_vocab = metadata.str_array("tokenizer.ggml.tokens")?.len();
        let keys = Keys { metadata, architecture: name };
        let hyper = HyperParams::read(metadata, name, n_vocab)?;
        let plan = PlanBuilder::new();
        let tensors = Tensors::new(gguf, &plan);
        write(&plan, &hyper, keys, &tensors)?;
        let weights = tensors.into_data();
        Ok(Model { hyper, plan: Arc::new(plan.finish()?), weights })
    }

    /// The model's sizes.
    pub fn hyper_params(&self) -> &HyperParams {
        &self.hyper
    }

    /// The forward pass; its one output is the logits, `[n_outputs, n_vocab]`.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The weights' data, in the order of [`Plan::weights`].
    pub fn weights(&self) -> &[Bytes] {
        &self.weights
    }

    /// Bytes of all weights that the plan reads.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(|w| w.len() as u64).sum()
    }
}
