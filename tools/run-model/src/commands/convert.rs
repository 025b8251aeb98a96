//! `run-model convert FOLDER -o FILE`

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use silhak_convert::{Options, Progress, Report, convert};

use crate::cli::ConvertArgs;
use crate::context::Context;
use crate::output;
use crate::progress::Writing;

pub(crate) fn run(args: &ConvertArgs, context: &Context) -> anyhow::Result<()> {
    let options = Options { mix: args.mix, pre: args.pre.clone(), threads: args.threads };
    let started = Instant::now();
    let writing = Writing::start(context.lang)?;
    let report =
        convert(&args.folder, &args.output, &options, &mut |Progress { done, total }| writing.hear(done, total));
    drop(writing);
    let (report, seconds) = (report?, started.elapsed().as_secs_f64());
    if args.json {
        return output::json(&Converted::new(&args.output, &report, seconds));
    }
    let lang = context.lang;
    output::note(&lang.converted(&args.output, &report, seconds));
    if let Some(name) = report.left_out.first() {
        output::note(&lang.left_out(report.left_out.len(), name));
    }
    Ok(())
}

/// What `convert --json` prints.
#[derive(Serialize)]
struct Converted<'a> {
    path: &'a Path,
    bytes: u64,
    #[serde(rename = "type")]
    ty: &'static str,
    n_tensors: usize,
    n_resumed: usize,
    left_out: &'a [String],
    seconds: f64,
}

impl<'a> Converted<'a> {
    fn new(path: &'a Path, report: &'a Report, seconds: f64) -> Self {
        let Report { bytes, mix, n_tensors, n_resumed, ref left_out } = *report;
        Converted { path, bytes, ty: mix.name(), n_tensors, n_resumed, left_out, seconds }
    }
}
