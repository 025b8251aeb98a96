//! What of a model runs where, and making it ready there.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use silhak_model::{Blocks, GpuLayers, Offload};
use silhak_ops::{Backend, ExecConfig, Executor, Plan, Split};

use crate::Error;
use crate::devices::{Card, Devices, Repacking};

/// What a device takes of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The device's name.
    pub device: String,
    /// Whether it is a GPU, with memory of its own.
    pub is_gpu: bool,
    /// The transformer blocks; the first share has the embedding too, the last one the output matrix.
    pub layers: Range<usize>,
    /// Bytes of weights: those of the mapped file that are used where they lie, and what is held in other layouts.
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

    /// The placement with `offload` on the GPU, if there is one; the CPU repacks its weights if it may.
    pub(crate) fn new(
        devices: &Devices,
        plan: &Plan,
        config: &ExecConfig,
        offload: Option<Offload>,
    ) -> Result<Self, Error> {
        if let Some(Repacking { backend, budget }) = &devices.host.repacking {
            let placement = Self::with_host(backend, devices, plan, config, offload)?;
            if placement.bytes_on(false) <= *budget {
                return Ok(placement);
            }
        }
        Self::with_host(&devices.host.in_place, devices, plan, config, offload)
    }

    fn with_host(
        host: &Arc<dyn Backend>,
        devices: &Devices,
        plan: &Plan,
        config: &ExecConfig,
        offload: Option<Offload>,
    ) -> Result<Self, Error> {
        let host = (Arc::clone(host), false);
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
            let layers = first..first + Blocks::of(part.plan()).len();
            first = layers.end;
            shares.push(Share {
                device: backend.name(),
                is_gpu: *is_gpu,
                layers,
                weights: memory.weights.saturating_add(memory.mapped) as u64,
                kv: memory.kv as u64,
                scratch: memory.scratch as u64,
            });
        }
        let backend = if let [(backend, _)] = &used[..] { Arc::clone(backend) } else { Arc::new(split) };
        Ok(Placement { offload, backend, shares })
    }

    /// Bytes on the GPU.
    pub(crate) fn gpu_bytes(&self) -> u64 {
        self.bytes_on(true)
    }

    fn bytes_on(&self, is_gpu: bool) -> u64 {
        self.shares.iter().filter(|share| share.is_gpu == is_gpu).map(Share::total).sum()
    }

    /// As [`Placement::choose`], with the budget of the GPU that is there.
    pub(crate) fn first(devices: &Devices, plan: &Plan, config: &ExecConfig, wanted: GpuLayers) -> Result<Self, Error> {
        Self::choose(devices, plan, config, wanted, devices.card.as_ref().and_then(|card| card.budget))
    }

    /// Makes a model ready where this says. Where the GPU refuses, and there is a choice, it gets less: fewer layers, then
    /// none.
    pub(crate) fn prepare(
        self,
        devices: &Devices,
        plan: &Arc<Plan>,
        weights: &[Bytes],
        config: &ExecConfig,
        wanted: GpuLayers,
    ) -> Result<(Self, Box<dyn Executor>), Error> {
        let mut placement = self;
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

#[cfg(test)]
mod tests {
    use silhak_ops::reference::Reference;
    use silhak_ops::{Error as OpsError, KvConfig, KvElement, KvLayer, MemoryUse, PlanBuilder, Weight};
    use silhak_quant::Format;

    use super::*;
    use crate::devices::Host;

    const WIDTH: usize = 8;

    /// Three layers, each with a matrix and keys and values, between an embedding and an output matrix.
    fn model() -> (Arc<Plan>, Vec<Bytes>, ExecConfig) {
        let (p, mut data) = (PlanBuilder::new(), Vec::new());
        let mut weight = |name: String, rows| {
            data.push(Bytes::from(vec![0; 4 * rows * WIDTH]));
            p.weight(Weight { name, format: Format::F32, rows, cols: WIDTH })
        };
        let mut h = p.embed(weight("token_embd.weight".into(), 10));
        for i in 0..3 {
            let layer = p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: WIDTH, window: None });
            p.kv_write(layer, p.linear(h, weight(format!("blk.{i}.attn_k.weight"), WIDTH)), h);
            h = p.attention(layer, h, 1.0);
        }
        p.output(p.linear(p.select(h), weight("output.weight".into(), 10)));
        let kv = KvConfig { page_len: 4, n_pages: vec![2], element: KvElement::F32 };
        (Arc::new(p.finish().unwrap()), data, ExecConfig { kv, max_tokens: 4, max_outputs: 1 })
    }

    /// A GPU that says it needs its weights' bytes, and refuses what needs more than it has.
    struct Small {
        memory: usize,
        broken: bool,
    }

    impl Backend for Small {
        fn name(&self) -> String {
            "small".into()
        }

        fn prepare(
            &self,
            plan: &Arc<Plan>,
            data: &[Bytes],
            config: &ExecConfig,
        ) -> Result<Box<dyn Executor>, OpsError> {
            let bytes = self.estimate(plan, config)?.total();
            if self.broken {
                return Err(OpsError::Backend { backend: self.name(), message: "a shader was refused".into() });
            }
            if bytes > self.memory {
                return Err(OpsError::OutOfMemory { what: "weights", bytes });
            }
            Reference::default().prepare(plan, data, config)
        }

        fn estimate(&self, plan: &Plan, _: &ExecConfig) -> Result<MemoryUse, OpsError> {
            Ok(MemoryUse { weights: plan.weight_bytes()?, ..MemoryUse::default() })
        }
    }

    fn devices(memory: usize, budget: Option<u64>, is_wanted: bool) -> Devices {
        let card = Card { backend: Arc::new(Small { memory, broken: false }), budget, is_wanted, bandwidth: None };
        Devices { host: Host::of(Reference::default()), card: Some(card) }
    }

    fn prepare(devices: &Devices, wanted: GpuLayers) -> Result<Placement, Error> {
        let (plan, data, config) = model();
        let first = Placement::first(devices, &plan, &config, wanted)?;
        first.prepare(devices, &plan, &data, &config, wanted).map(|(placement, _)| placement)
    }

    /// Bytes of a layer, and of the embedding or the output.
    const LAYER: u64 = (4 * WIDTH * WIDTH) as u64;
    const END: u64 = (4 * 10 * WIDTH) as u64;

    #[test]
    fn as_many_layers_as_fit_and_never_a_byte_more() {
        for (budget, offload) in [
            (2 * END + 3 * LAYER, Some(Offload::Whole)),
            (2 * END + 3 * LAYER - 1, Some(Offload::Last(3))),
            (END + 2 * LAYER, Some(Offload::Last(2))),
            (END + 2 * LAYER - 1, Some(Offload::Last(1))),
            (END + LAYER - 1, None),
        ] {
            let placement = prepare(&devices(usize::MAX, Some(budget), false), GpuLayers::Auto).unwrap();
            assert_eq!(placement.offload, offload, "{budget}");
            assert!(placement.gpu_bytes() <= budget);
            let layers: Vec<_> = placement.shares.iter().flat_map(|share| share.layers.clone()).collect();
            assert_eq!(layers, [0, 1, 2], "{budget}");
        }
    }

    #[test]
    fn shares_tell_what_is_where() {
        let placement = prepare(&devices(usize::MAX, None, true), GpuLayers::Exactly(1)).unwrap();
        let [host, gpu] = &placement.shares[..] else { panic!("{:?}", placement.shares) };
        assert_eq!((host.device.as_str(), host.is_gpu, host.layers.clone()), ("reference", false, 0..2));
        assert_eq!((gpu.device.as_str(), gpu.is_gpu, gpu.layers.clone()), ("small", true, 2..3));
        assert_eq!((host.weights, gpu.weights), (END + 2 * LAYER, END + LAYER));
        assert_eq!(host.kv, 2 * 2 * 4 * 2 * 4 * WIDTH as u64);
        assert_eq!(placement.backend.name(), "reference + small");
        assert_eq!(prepare(&devices(0, None, true), GpuLayers::Exactly(0)).unwrap().offload, None);
    }

    #[test]
    fn weights_are_repacked_if_that_fits() {
        let (plan, _, config) = model();
        let all = plan.weight_bytes().unwrap() as u64;
        for (budget, repacks) in [(all, true), (all - 1, false)] {
            let repacking = Repacking { backend: Arc::new(Small { memory: usize::MAX, broken: false }), budget };
            let host = Host { in_place: Arc::new(Reference::default()), repacking: Some(repacking) };
            let placement = Placement::new(&Devices { host, card: None }, &plan, &config, None).unwrap();
            assert_eq!(placement.backend.name() == "small", repacks, "{budget}");
        }
    }

    #[test]
    fn what_must_be_on_the_gpu_and_does_not_fit_is_an_error() {
        let tight = devices(usize::MAX, Some(END + LAYER), true);
        for (wanted, n) in [(GpuLayers::All, 3), (GpuLayers::Exactly(2), 2)] {
            let error = prepare(&tight, wanted).err().unwrap();
            assert!(matches!(error, Error::GpuMemory { layers, .. } if layers == n), "{error}");
        }
        assert_eq!(prepare(&tight, GpuLayers::Auto).unwrap().offload, Some(Offload::Last(1)));
        let error = prepare(&devices(usize::MAX, Some(1), true), GpuLayers::Auto).err().unwrap();
        assert!(error.to_string().contains("--gpu-memory"), "{error}");
    }

    #[test]
    fn a_gpu_that_refuses_gets_less_and_then_nothing() {
        let has = |layers: u64| (END + layers * LAYER) as usize;
        for (memory, offload) in [(has(2), Some(Offload::Last(2))), (has(1), Some(Offload::Last(1))), (has(0), None)] {
            let placement = prepare(&devices(memory, None, false), GpuLayers::Auto).unwrap();
            assert_eq!(placement.offload, offload, "{memory}");
        }
        // Where it must be used, less will do only if that was left open, and nothing will not.
        assert_eq!(prepare(&devices(has(1), None, true), GpuLayers::Auto).unwrap().offload, Some(Offload::Last(1)));
        let error = prepare(&devices(has(2), None, true), GpuLayers::All).err().unwrap();
        assert!(matches!(error, Error::Prepare(OpsError::OutOfMemory { .. })), "{error}");
        assert!(matches!(prepare(&devices(0, None, true), GpuLayers::Auto), Err(Error::GpuMemory { .. })));
    }

    #[test]
    fn a_broken_gpu_is_left_alone_unless_it_must_be_used() {
        let broken = |is_wanted| Devices {
            card: Some(Card {
                backend: Arc::new(Small { memory: 0, broken: true }),
                budget: None,
                is_wanted,
                bandwidth: None,
            }),
            host: Host::of(Reference::default()),
        };
        assert_eq!(prepare(&broken(false), GpuLayers::Auto).unwrap().offload, None);
        assert!(matches!(prepare(&broken(true), GpuLayers::Auto), Err(Error::Prepare(OpsError::Backend { .. }))));
    }
}
