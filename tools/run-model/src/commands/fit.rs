//! `run-model fit MODEL`

use serde::Serialize;
use silhak::{Estimate, LoadOptions, ModelFile};

use crate::cli::FitArgs;
use crate::context::Context;
use crate::messages::Lang;
use crate::system::Memory;
use crate::{engine, output};

pub(crate) fn run(args: &FitArgs, context: &Context) -> anyhow::Result<()> {
    let file = ModelFile::open(engine::find(&args.model, context)?)?;
    let options = LoadOptions { n_ctx: args.ctx, ..args.device.load_options() };
    let estimate = Estimate::new(&file, &options)?;
    let memory = args.memory.or_else(|| Memory::now().available);
    let largest = memory.map(|memory| Estimate::largest_context(&file, &options, memory)).transpose()?;
    let report = Report {
        model: &args.model,
        n_ctx: estimate.n_ctx,
        weights_bytes: estimate.weights,
        kv_bytes: estimate.kv,
        scratch_bytes: estimate.scratch,
        total_bytes: estimate.total(),
        memory_bytes: memory,
        fits: memory.map(|memory| estimate.total() <= memory),
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
    weights_bytes: u64,
    kv_bytes: u64,
    scratch_bytes: u64,
    total_bytes: u64,
    /// What there is for it: given, or what the system has available.
    memory_bytes: Option<u64>,
    fits: Option<bool>,
    /// The longest context that fits; 0 if none does.
    largest_n_ctx: Option<usize>,
    trained_n_ctx: usize,
}

impl Report<'_> {
    fn print(&self, lang: Lang) -> anyhow::Result<()> {
        let [context, weights, kv, scratch, total, memory] = lang.fit_heads().map(str::to_owned);
        let mut rows = vec![
            [context, self.n_ctx.to_string()],
            [weights, output::bytes(self.weights_bytes)],
            [kv, output::bytes(self.kv_bytes)],
            [scratch, output::bytes(self.scratch_bytes)],
            [total, output::bytes(self.total_bytes)],
        ];
        rows.extend(self.memory_bytes.map(|bytes| [memory, output::bytes(bytes)]));
        output::table(&rows)?;
        match (self.fits, self.largest_n_ctx) {
            (Some(fits), Some(largest)) => output::line(&lang.verdict(fits, largest, self.trained_n_ctx)),
            _ => output::line(lang.memory_unknown()),
        }
    }
}
