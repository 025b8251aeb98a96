//! `run-model quantize SOURCE TARGET`

use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use serde::Serialize;
use silhak::{Device, Fit, LoadOptions, ModelFile};
use silhak_convert::{Importance, Mix, Progress, QuantizeOptions, QuantizeReport, quantize, quantized_bytes};

use crate::cli::QuantizeArgs;
use crate::context::Context;
use crate::output;
use crate::progress::Writing;

pub(crate) fn run(args: &QuantizeArgs, context: &Context) -> anyhow::Result<()> {
    let lang = context.lang;
    let mix = match (args.mix, args.fit) {
        (Some(mix), _) => mix,
        // Without a type the command line demands a size.
        (None, memory) => match best_fit(&args.source, memory.unwrap_or(0), args.context)? {
            Some(mix) => mix,
            None => bail!(lang.nothing_fits()),
        },
    };
    let importance = args.imatrix.as_deref().map(Importance::read).transpose()?;
    let options = QuantizeOptions { mix, importance, allow_requantize: args.allow_requantize, threads: args.threads };
    let started = Instant::now();
    let writing = Writing::start(lang)?;
    let report =
        quantize(&args.source, &args.target, &options, &mut |Progress { done, total }| writing.hear(done, total));
    drop(writing);
    let (report, seconds) = (report?, started.elapsed().as_secs_f64());
    if args.json {
        return output::json(&Quantized::new(&args.target, mix, &report, seconds));
    }
    output::note(&lang.quantized(&args.target, mix, &report, seconds));
    if report.n_fallbacks > 0 {
        output::note(&lang.fell_back(report.n_fallbacks, mix));
    }
    Ok(())
}

/// What `--fit` chooses between, the most exact first.
const CHOICES: [Mix; 9] =
    [Mix::Q8_0, Mix::Q6K, Mix::Q5KM, Mix::Q4KM, Mix::Q4KS, Mix::Q4_0, Mix::Iq4Xs, Mix::Q3KM, Mix::Q3KS];

/// The most exact quantization that fits, if one does.
fn best_fit(source: &Path, memory: u64, n_ctx: Option<usize>) -> anyhow::Result<Option<Mix>> {
    let file = ModelFile::open(source)?;
    // What a model takes beside its weights is the same on every device, but for little.
    let fit = Fit::new(&file, &LoadOptions { device: Device::Cpu, n_ctx, ..LoadOptions::default() })?;
    let beside = fit.estimate()?.shares.iter().map(|share| share.kv + share.scratch).sum::<u64>();
    for mix in CHOICES {
        if quantized_bytes(file.gguf(), mix)? + beside <= memory {
            return Ok(Some(mix));
        }
    }
    Ok(None)
}

/// What `quantize --json` prints.
#[derive(Serialize)]
struct Quantized<'a> {
    path: &'a Path,
    #[serde(rename = "type")]
    ty: &'static str,
    source_bytes: u64,
    bytes: u64,
    n_tensors: usize,
    n_resumed: usize,
    n_fallbacks: usize,
    seconds: f64,
}

impl<'a> Quantized<'a> {
    fn new(path: &'a Path, mix: Mix, report: &QuantizeReport, seconds: f64) -> Self {
        let QuantizeReport { source_bytes, bytes, n_tensors, n_resumed, n_fallbacks } = *report;
        Quantized { path, ty: mix.name(), source_bytes, bytes, n_tensors, n_resumed, n_fallbacks, seconds }
    }
}
