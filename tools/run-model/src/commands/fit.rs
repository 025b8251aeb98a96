//! `run-model fit MODEL`

use serde::Serialize;
use silhak::{Fit, LoadOptions, ModelFile, Share, SystemMemory};

use crate::cli::FitArgs;
use crate::context::Context;
use crate::messages::Lang;
use crate::{engine, output};

pub(crate) fn run(args: &FitArgs, context: &Context) -> anyhow::Result<()> {
    let file = ModelFile::open(engine::find(&args.model, context)?)?;
    let fit = Fit::new(&file, &LoadOptions { n_ctx: args.ctx, ..args.device.load_options() })?;
    let estimate = fit.estimate()?;
    let memory = args.memory.or_else(|| SystemMemory::now().available);
    let largest = memory.map(|memory| fit.largest_context(memory)).transpose()?;
    let sum = |part: fn(&Share) -> u64| estimate.shares.iter().map(part).fold(0, u64::saturating_add);
    let report = Report {
        model: &args.model,
        n_ctx: estimate.n_ctx,
        shares: estimate.shares.iter().map(ShareJson::from).collect(),
        weights_bytes: sum(|share| share.weights),
        kv_bytes: sum(|share| share.kv),
        scratch_bytes: sum(|share| share.scratch),
        total_bytes: sum(Share::total),
        memory_bytes: memory,
        gpu_memory_bytes: fit.gpu_budget(),
        fits: memory.map(|memory| estimate.host_bytes() <= memory),
        largest_n_ctx: largest.map(|largest| largest.map_or(0, |estimate| estimate.n_ctx)),
        trained_n_ctx: file.model().hyper_params().n_ctx_train,
    };
    if args.json { output::json(&report) } else { report.print(context.lang) }
}

/// What a model takes, as `fit --json` prints it; what is not known is `null`.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    n_ctx: usize,
    /// In the order in which they run.
    shares: Vec<ShareJson<'a>>,
    /// Of all devices, as are the other sums.
    weights_bytes: u64,
    kv_bytes: u64,
    scratch_bytes: u64,
    total_bytes: u64,
    /// What there is for the CPU's share: given, or what the system has available.
    memory_bytes: Option<u64>,
    /// What there is for the GPU's share.
    gpu_memory_bytes: Option<u64>,
    fits: Option<bool>,
    /// The longest context that fits with the layers where they are; 0 if none does.
    largest_n_ctx: Option<usize>,
    trained_n_ctx: usize,
}

/// What a device takes.
#[derive(Serialize)]
struct ShareJson<'a> {
    device: &'a str,
    is_gpu: bool,
    first_layer: usize,
    n_layers: usize,
    weights_bytes: u64,
    kv_bytes: u64,
    scratch_bytes: u64,
    total_bytes: u64,
}

impl<'a> From<&'a Share> for ShareJson<'a> {
    fn from(share: &'a Share) -> Self {
        Self {
            device: &share.device,
            is_gpu: share.is_gpu,
            first_layer: share.layers.start,
            n_layers: share.layers.len(),
            weights_bytes: share.weights,
            kv_bytes: share.kv,
            scratch_bytes: share.scratch,
            total_bytes: share.total(),
        }
    }
}

impl Report<'_> {
    fn print(&self, lang: Lang) -> anyhow::Result<()> {
        let mut rows = vec![lang.share_heads().map(str::to_owned)];
        rows.extend(self.shares.iter().map(|share| {
            let bytes =
                [share.weights_bytes, share.kv_bytes, share.scratch_bytes, share.total_bytes].map(output::bytes);
            let [weights, kv, scratch, total] = bytes;
            let layers = lang.layers(share.first_layer, share.n_layers);
            [share.device.to_owned(), layers, weights, kv, scratch, total]
        }));
        output::table(&rows)?;
        output::line("")?;
        let [context, memory, gpu_memory] = lang.fit_heads().map(str::to_owned);
        let mut rows = vec![[context, self.n_ctx.to_string()]];
        rows.extend(self.memory_bytes.map(|bytes| [memory, output::bytes(bytes)]));
        rows.extend(self.gpu_memory_bytes.map(|bytes| [gpu_memory, output::bytes(bytes)]));
        output::table(&rows)?;
        match (self.fits, self.largest_n_ctx) {
            (Some(fits), Some(largest)) => output::line(&lang.verdict(fits, largest, self.trained_n_ctx)),
            _ => output::line(lang.memory_unknown()),
        }
    }
}
