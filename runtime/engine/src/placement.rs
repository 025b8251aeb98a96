//! What of a model runs where, and making it ready there.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use silhak_model::{Blocks, GpuLayers, Offload};
use silhak_ops::{Backend, ExecConfig, Executor, Plan, Split};

use crate::Error;
use crate::devices::{Card, Devices};

/// What a device takes of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The device's name.
    pub device: String,
    /// Whether it is a GPU, with memory of its own.
    pub is_gpu: bool,
    /// The transformer blocks; the first share has the embedding too, the last one the output matrix.
    pub layers: Range<usize>,
    /// Bytes of weights: on the CPU those of the mapped file, and what is held besides.
    pub weights: u64,
    /// Bytes of keys and values.
    pub kv: u64,
    /// Bytes of the values between the ops of a batch.
    pub scratch: u64,
}

impl Share {
    /// All bytes of it.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.kv).saturating_add(self.scratch)
    }
}

/// Who runs what.
pub(crate) struct Placement {
    /// What the GPU has; `None` where it has nothing.
    pub(crate) offload: Option<Offload>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) shares: Vec<Share>,
}

impl Placement {
    /// As much on the GPU as is wanted and fits into `budget` bytes.
    ///
    /// # Errors
    /// [`Error::GpuMemory`] where the GPU must be used, and what is wanted does not fit.
    pub(crate) fn choose(
        devices: &Devices,
        plan: &Plan,
        config: &ExecConfig,
        wanted: GpuLayers,
        budget: Option<u64>,
    ) -> Result<Self, Error> {
        let Some(card) = &devices.card else { return Self::new(devices, plan, config, None) };
        let n_layers = Blocks::of(plan).len();
        let mut least = None;
        for offload in Offload::choices(wanted, n_layers) {
            let placement = Self::new(devices, plan, config, Some(offload))?;
            let needed = placement.gpu_bytes();
            if budget.is_none_or(|budget| needed <= budget) {
                let (gpu, layers) = (card.backend.name(), offload.n_layers(n_layers));
                tracing::info!(gpu, layers, of = n_layers, needed, budget, "running on the GPU");
                return Ok(placement);
            }
            least = Some((offload, needed));
        }
        if let (Some((offload, needed)), Some(budget)) = (least, budget) {
            let (gpu, layers) = (card.backend.name(), offload.n_layers(n_layers));
            if card.is_wanted {
                return Err(Error::GpuMemory { gpu, layers, needed, budget });
            }
            tracing::info!(gpu, layers, needed, budget, "running on the CPU: too little memory on the GPU");
        }
        Self::new(devices, plan, config, None)
    }

    /// The placement with `offload` on the GPU, if there is one.
    pub(crate) fn new(
        devices: &Devices,
        plan: &Plan,
        config: &ExecConfig,
        offload: Option<Offload>,
    ) -> Result<Self, Error> {
        let host = (Arc::clone(&devices.host), false);
        let card = devices.card.as_ref().zip(offload).map(|(card, _)| (Arc::clone(&card.backend), true));
        let blocks = Blocks::of(plan);
        let cuts: Vec<usize> = offload.and_then(|offload| blocks.cut(offload)).into_iter().collect();
        let used: Vec<_> = match card {
            None => vec![host],
            Some(card) if cuts.is_empty() => vec![card],
            Some(card) => vec![host, card],
        };
        let split = Split::new(used.iter().map(|(backend, _)| Arc::clone(backend)).collect(), cuts);
        let mut shares = Vec::with_capacity(used.len());
        let mut first = 0;
        for ((part, backend), (_, is_gpu)) in split.parts(plan)?.into_iter().zip(&used) {
            let memory = backend.estimate(part.plan(), &part.config(config))?;
            // On the CPU the file stays mapped; what a backend holds in a layout of its own comes on top.
            let mapped = if *is_gpu { 0 } else { weight_bytes(part.plan())? };
            let layers = first..first + Blocks::of(part.plan()).len();
            first = layers.end;
            shares.push(Share {
                device: backend.name(),
                is_gpu: *is_gpu,
                layers,
                weights: mapped.saturating_add(memory.weights as u64),
                kv: memory.kv as u64,
                scratch: memory.scratch as u64,
            });
        }
        let backend = if let [(backend, _)] = &used[..] { Arc::clone(backend) } else { Arc::new(split) };
        Ok(Placement { offload, backend, shares })
    }

    /// Bytes on the GPU.
    pub(crate) fn gpu_bytes(&self) -> u64 {
        self.shares.iter().filter(|share| share.is_gpu).map(Share::total).sum()
    }

    /// Makes a model ready. Where the GPU refuses, and there is a choice, it gets less: fewer layers, then none.
    pub(crate) fn prepare(
        devices: &Devices,
        plan: &Arc<Plan>,
        weights: &[Bytes],
        config: &ExecConfig,
        wanted: GpuLayers,
    ) -> Result<(Self, Box<dyn Executor>), Error> {
        let budget = devices.card.as_ref().and_then(|card| card.budget);
        let mut placement = Self::choose(devices, plan, config, wanted, budget)?;
        loop {
            let error = match placement.backend.prepare(plan, weights, config) {
                Ok(executor) => return Ok((placement, executor)),
                Err(error) => error,
            };
            let (Some(card), Some(budget)) = (&devices.card, placement.retreat(devices, wanted, &error)) else {
                return Err(error.into());
            };
            tracing::warn!(gpu = card.backend.name(), %error, "the GPU refused the model; trying with less of it there");
            placement = Self::choose(devices, plan, config, wanted, Some(budget))?;
        }
    }

    /// The budget to try next, after the GPU refused this placement; `None` where there is nothing else to try.
    fn retreat(&self, devices: &Devices, wanted: GpuLayers, error: &silhak_ops::Error) -> Option<u64> {
        self.offload?;
        let Card { is_wanted, .. } = devices.card.as_ref()?;
        match error {
            silhak_ops::Error::OutOfMemory { .. } if wanted == GpuLayers::Auto || !is_wanted => {
                Some(self.gpu_bytes() / 4 * 3)
            }
            _ => (!is_wanted).then_some(0),
        }
    }
}

/// Bytes of a plan's weights in the file.
fn weight_bytes(plan: &Plan) -> Result<u64, Error> {
    plan.weights().iter().map(|weight| Ok(weight.bytes()? as u64)).sum()
}
