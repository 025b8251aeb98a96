//! The executor of a model, made anew where its GPU was lost: as before, or with less on the GPU where that goes wrong again
//! and again, and at last on the CPU alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use silhak_model::GpuLayers;
use silhak_ops::{Error as OpsError, ExecConfig, Executor, KernelTime, MemoryUse, Plan};

use crate::devices::Devices;
use crate::placement::Placement;
use crate::{Error, Share};

/// An executor, and all that it takes to prepare it again.
pub(crate) struct Renewable {
    /// The GPU, if one is in use, has the budget of what runs there: less is tried after losses, never more.
    devices: Devices,
    plan: Arc<Plan>,
    /// Parts of the mapped file, so keeping them costs nothing.
    weights: Vec<Bytes>,
    config: ExecConfig,
    /// None from a loss until something is to run again.
    executor: Option<Box<dyn Executor>>,
    lost_at: Instant,
    footing: Arc<Footing>,
}

/// What a model runs on, for all who ask while the engine thread works.
#[derive(Debug)]
pub(crate) struct Footing {
    now: Mutex<RunsOn>,
    /// Losses since an answer came to its end.
    losses: AtomicUsize,
}

/// What a model runs on.
#[derive(Clone, Debug)]
pub(crate) struct RunsOn {
    /// The backends' names.
    pub(crate) device: String,
    pub(crate) shares: Vec<Share>,
    pub(crate) memory: MemoryUse,
    /// Whether tokens can be chosen there.
    pub(crate) can_choose: bool,
}

/// After so many losses without a whole answer between them the GPU gets half of what it had, and after as many more nothing.
const MOST_LOSSES: usize = 3;

/// A driver that is reset takes some seconds until its device can be opened and filled.
const COMES_BACK: Duration = Duration::from_secs(3);

/// Between two tries of it.
const PAUSE: Duration = Duration::from_millis(100);

impl Renewable {
    /// Makes a model ready where `placement` says, or with less on the GPU.
    ///
    /// # Errors
    /// As [`Placement::prepare`].
    pub(crate) fn prepare(
        placement: Placement,
        devices: Devices,
        plan: &Arc<Plan>,
        weights: &[Bytes],
        config: ExecConfig,
        wanted: GpuLayers,
    ) -> Result<Self, Error> {
        let (placement, executor) = placement.prepare(&devices, plan, weights, &config, wanted)?;
        let now = Mutex::new(RunsOn::new(&placement, executor.as_ref()));
        let mut renewable = Renewable {
            devices,
            plan: Arc::clone(plan),
            weights: weights.to_vec(),
            config,
            executor: Some(executor),
            lost_at: Instant::now(),
            footing: Arc::new(Footing { now, losses: AtomicUsize::new(0) }),
        };
        renewable.limit_gpu(placement.gpu_bytes());
        Ok(renewable)
    }

    pub(crate) fn config(&self) -> &ExecConfig {
        &self.config
    }

    pub(crate) fn footing(&self) -> &Arc<Footing> {
        &self.footing
    }

    /// The executor, prepared first where it was lost.
    ///
    /// # Errors
    /// The CPU alone cannot be prepared.
    pub(crate) fn ready(&mut self) -> Result<&mut dyn Executor, OpsError> {
        let executor = match self.executor.take() {
            Some(executor) => executor,
            None => self.renew()?,
        };
        Ok(self.executor.insert(executor).as_mut())
    }

    /// What each kernel took since the last call; what was lost is not told.
    pub(crate) fn profile(&mut self) -> Vec<KernelTime> {
        self.executor.as_mut().map(|executor| executor.profile()).unwrap_or_default()
    }

    /// Gives up the executor, whose device was lost.
    pub(crate) fn lose(&mut self) {
        self.executor = None;
        self.lost_at = Instant::now();
        let budget = self.devices.card.as_ref().and_then(|card| card.budget).unwrap_or(0);
        match self.footing.losses.fetch_add(1, Ordering::Relaxed) + 1 {
            MOST_LOSSES => self.limit_gpu(budget / 2),
            n if n >= 2 * MOST_LOSSES => self.limit_gpu(0),
            _ => return,
        }
        // A model that is only in part on the GPU has its tokens chosen on the host.
        self.footing.lock().can_choose = false;
    }

    fn renew(&mut self) -> Result<Box<dyn Executor>, OpsError> {
        let (placement, executor) = self.place_again().map_err(|error| match error {
            Error::Prepare(error) => error,
            other => OpsError::Backend { backend: "engine".into(), message: other.to_string() },
        })?;
        self.limit_gpu(placement.gpu_bytes());
        let now = RunsOn::new(&placement, executor.as_ref());
        let before = std::mem::replace(&mut *self.footing.lock(), now);
        if before.shares == placement.shares {
            tracing::info!(device = before.device, "the model is on the GPU again");
        } else {
            let (before, now) = (layers_on_gpu(&before.shares), layers_on_gpu(&placement.shares));
            let device = placement.backend.name();
            tracing::warn!(
                device,
                before,
                now,
                "the GPU was lost too often or does not come back: it has fewer layers"
            );
        }
        Ok(executor)
    }

    /// Prepares what the budget allows, with patience where the GPU refuses that; after that, less.
    fn place_again(&self) -> Result<(Placement, Box<dyn Executor>), Error> {
        let placement = Placement::first(&self.devices, &self.plan, &self.config, GpuLayers::Auto)?;
        while placement.offload.is_some() && self.lost_at.elapsed() < COMES_BACK {
            match placement.backend.prepare(&self.plan, &self.weights, &self.config) {
                Ok(executor) => return Ok((placement, executor)),
                Err(error) => tracing::debug!(%error, "the GPU is not back yet"),
            }
            thread::sleep(PAUSE);
        }
        placement.prepare(&self.devices, &self.plan, &self.weights, &self.config, GpuLayers::Auto)
    }

    /// Allows the GPU so many bytes. Once a model runs it is more important that it goes on than where.
    fn limit_gpu(&mut self, bytes: u64) {
        self.devices.card = self.devices.card.take().filter(|_| bytes > 0);
        if let Some(card) = &mut self.devices.card {
            (card.budget, card.is_wanted) = (Some(bytes), false);
        }
    }
}

impl Footing {
    /// What the model runs on now.
    pub(crate) fn now(&self) -> RunsOn {
        self.lock().clone()
    }

    pub(crate) fn can_choose(&self) -> bool {
        self.lock().can_choose
    }

    /// Notes that an answer came to its end.
    pub(crate) fn answered(&self) {
        self.losses.store(0, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, RunsOn> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunsOn {
    fn new(placement: &Placement, executor: &dyn Executor) -> Self {
        RunsOn {
            device: placement.backend.name(),
            shares: placement.shares.clone(),
            memory: executor.memory(),
            can_choose: executor.can_choose(),
        }
    }
}

fn layers_on_gpu(shares: &[Share]) -> usize {
    shares.iter().filter(|share| share.is_gpu).map(|share| share.layers.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use silhak_ops::reference::Reference;
    use silhak_ops::{Backend, KvConfig, KvElement, PlanBuilder, Weight};
    use silhak_quant::Format;

    use super::*;
    use crate::devices::{Card, Host};

    /// A GPU that counts how often it is filled, and may be broken.
    #[derive(Default)]
    struct Fragile {
        n_filled: AtomicUsize,
        is_broken: AtomicBool,
    }

    impl Backend for Fragile {
        fn name(&self) -> String {
            "fragile".into()
        }

        fn prepare(
            &self,
            plan: &Arc<Plan>,
            weights: &[Bytes],
            config: &ExecConfig,
        ) -> Result<Box<dyn Executor>, OpsError> {
            if self.is_broken.load(Ordering::Relaxed) {
                return Err(OpsError::Backend { backend: self.name(), message: "it does not open".into() });
            }
            self.n_filled.fetch_add(1, Ordering::Relaxed);
            Reference::default().prepare(plan, weights, config)
        }

        fn estimate(&self, plan: &Plan, _: &ExecConfig) -> Result<MemoryUse, OpsError> {
            let weights = plan.weights().iter().map(Weight::bytes).sum::<Result<usize, _>>()?;
            Ok(MemoryUse { weights, ..MemoryUse::default() })
        }
    }

    /// Four layers of one matrix each, all of them on the GPU.
    fn renewable(gpu: &Arc<Fragile>) -> Renewable {
        let (p, mut weights) = (PlanBuilder::new(), Vec::new());
        let mut x = p.input(8);
        for i in 0..4 {
            weights.push(Bytes::from(vec![0; 4 * 8 * 8]));
            x = p.linear(x, p.weight(Weight { name: format!("blk.{i}.w"), format: Format::F32, rows: 8, cols: 8 }));
        }
        p.output(x);
        let kv = KvConfig { page_len: 4, n_pages: Vec::new(), element: KvElement::F32 };
        let config = ExecConfig { kv, max_tokens: 4, max_outputs: 1 };
        let card = Card { backend: Arc::clone(gpu) as _, budget: None, is_wanted: true, bandwidth: None };
        let devices = Devices { host: Host::of(Reference::default()), card: Some(card) };
        let plan = Arc::new(p.finish().unwrap());
        let placement = Placement::first(&devices, &plan, &config, GpuLayers::All).unwrap();
        Renewable::prepare(placement, devices, &plan, &weights, config, GpuLayers::All).unwrap()
    }

    fn layers(renewable: &Renewable) -> usize {
        layers_on_gpu(&renewable.footing().now().shares)
    }

    #[test]
    fn losses_in_a_row_leave_the_gpu_half_and_then_nothing() {
        let gpu = Arc::new(Fragile::default());
        let mut renewable = renewable(&gpu);
        for layers_after in [4, 4, 2, 2, 2, 0] {
            renewable.lose();
            renewable.ready().unwrap();
            assert_eq!(layers(&renewable), layers_after);
        }
        assert_eq!(renewable.footing().now().device, "reference");
        assert_eq!(gpu.n_filled.load(Ordering::Relaxed), 6, "nothing goes to a GPU that is given up");
    }

    #[test]
    fn losses_with_answers_between_them_change_nothing() {
        let mut renewable = renewable(&Arc::default());
        for _ in 0..20 {
            renewable.lose();
            renewable.ready().unwrap();
            renewable.footing().answered();
        }
        assert_eq!(layers(&renewable), 4);
    }

    #[test]
    fn a_gpu_may_take_its_time_to_come_back() {
        let gpu = Arc::new(Fragile::default());
        let mut renewable = renewable(&gpu);
        gpu.is_broken.store(true, Ordering::Relaxed);
        renewable.lose();
        let repair = Arc::clone(&gpu);
        let repair = thread::spawn(move || {
            thread::sleep(COMES_BACK / 10);
            repair.is_broken.store(false, Ordering::Relaxed);
        });
        renewable.ready().unwrap();
        repair.join().unwrap();
        assert_eq!(layers(&renewable), 4);
    }

    #[test]
    fn a_gpu_that_does_not_come_back_is_given_up() {
        let gpu = Arc::new(Fragile::default());
        let mut renewable = renewable(&gpu);
        gpu.is_broken.store(true, Ordering::Relaxed);
        renewable.lose();
        renewable.ready().unwrap();
        assert_eq!((layers(&renewable), renewable.footing().now().device.as_str()), (0, "reference"));
        gpu.is_broken.store(false, Ordering::Relaxed);
        renewable.ready().unwrap();
        assert_eq!(layers(&renewable), 0);
    }
}
