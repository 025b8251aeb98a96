//! `run-model bench MODEL`

mod profile;

use anyhow::ensure;
use serde::Serialize;
use silhak::{GenerateOptions, LoadOptions, Model, SamplingOptions, Session, Usage};

use crate::answer;
use crate::cli::BenchArgs;
use crate::context::Context;
use crate::messages::Lang;
use crate::{engine, output, system};
use profile::Profile;

pub(crate) fn run(args: &BenchArgs, context: &Context) -> anyhow::Result<()> {
    let path = engine::find(&args.model, context)?;
    let n_ctx = args.engine.ctx.unwrap_or(args.depth + args.prefill.max(args.decode) + 1);
    let options = LoadOptions { n_ctx: Some(n_ctx), profile: args.profile, ..args.engine.load_options() };
    let model = engine::load(&path, options, context)?;
    let mut bench = Bench::new(&model, args, context.lang);
    let report = Report {
        model: &args.model,
        device: args.engine.device.device.to_string(),
        threads: args.engine.device.n_threads(),
        prefill: bench.repeat(args.prefill, args.reps, Bench::prefill)?,
        decode: bench.repeat(args.decode, args.reps, Bench::decode)?,
        runs_on: model.device(),
        depth: args.depth,
        load_s: model.load_time().as_secs_f64(),
        peak_rss_bytes: system::peak_rss(),
    };
    if args.json { output::json(&report) } else { report.print(context.lang) }
}

/// One timeline on which the same work is done again and again.
struct Bench {
    session: Session,
    depth: usize,
    is_profiled: bool,
    lang: Lang,
    /// Counts up, so that no prompt goes on like the one before it and everything beyond `depth` really runs.
    round: usize,
}

impl Bench {
    fn new(model: &Model, args: &BenchArgs, lang: Lang) -> Self {
        Self { session: model.session(), depth: args.depth, is_profiled: args.profile, lang, round: 0 }
    }

    /// Does `work` once, which warms up and fills the context up to `depth`, then `reps` times to be measured.
    fn repeat(
        &mut self,
        n_tokens: usize,
        reps: u32,
        work: fn(&mut Self, usize) -> anyhow::Result<f64>,
    ) -> anyhow::Result<Option<Samples>> {
        if n_tokens == 0 {
            return Ok(None);
        }
        work(self, n_tokens)?;
        self.profile()?;
        let samples = (0..reps).map(|_| work(self, n_tokens)).collect::<Result<Vec<f64>, _>>()?;
        Ok(Some(Samples { n_tokens, median_tps: median(&samples), samples_tps: samples, profile: self.profile()? }))
    }

    /// The kernels since the last call, where they are timed.
    fn profile(&self) -> anyhow::Result<Option<Profile>> {
        if !self.is_profiled {
            return Ok(None);
        }
        let model = self.session.model();
        Ok(Some(Profile::new(model.profile()?, model.gpu_bandwidth())))
    }

    /// Reads `n` tokens as one prompt, and chooses one.
    fn prefill(&mut self, n: usize) -> anyhow::Result<f64> {
        let usage = self.generate(n, 1)?;
        ensure!(usage.cached_tokens <= self.depth, "{} tokens were not read but remembered", usage.cached_tokens);
        Ok(n as f64 / usage.prefill_time.as_secs_f64())
    }

    /// Reads one token and chooses the next, `n` times after a first one.
    fn decode(&mut self, n: usize) -> anyhow::Result<f64> {
        let usage = self.generate(1, n + 1)?;
        ensure!(usage.decoded_tokens == n, "the context was full after {} of {n} tokens", usage.decoded_tokens);
        Ok(n as f64 / usage.decode_time.as_secs_f64())
    }

    fn generate(&mut self, n_prompt: usize, max_tokens: usize) -> anyhow::Result<Usage> {
        self.round += 1;
        let n_vocab = self.session.model().hyper_params().n_vocab;
        let prompt: Vec<u32> = tokens(0, self.depth, n_vocab).chain(tokens(self.round, n_prompt, n_vocab)).collect();
        let options = GenerateOptions {
            sampling: SamplingOptions::greedy(),
            max_tokens: Some(max_tokens),
            ignore_end: true,
            ..GenerateOptions::default()
        };
        let usage = answer::stream(&mut self.session, &prompt, options, self.lang, |_| Ok(()))?.usage;
        Ok(usage)
    }
}

/// Some tokens of the vocabulary, the first of them `first`.
fn tokens(first: usize, n: usize, n_vocab: usize) -> impl Iterator<Item = u32> {
    const STRIDE: usize = 7919;
    (0..n).map(move |i| ((first + i * STRIDE) % n_vocab) as u32)
}

/// A measurement as `bench --json` prints it.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    /// What was asked for.
    device: String,
    /// What it is, by the names of the backends.
    runs_on: String,
    threads: usize,
    prefill: Option<Samples>,
    decode: Option<Samples>,
    depth: usize,
    load_s: f64,
    peak_rss_bytes: Option<u64>,
}

/// Tokens per second.
#[derive(Serialize)]
struct Samples {
    n_tokens: usize,
    median_tps: f64,
    samples_tps: Vec<f64>,
    /// With `--profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
}

impl Report<'_> {
    fn print(&self, lang: Lang) -> anyhow::Result<()> {
        let [runs_on, prefill, decode, load, memory] = lang.bench_heads().map(str::to_owned);
        let rate = |samples: &Samples| {
            let (least, most) = bounds(&samples.samples_tps);
            lang.rate(samples.median_tps, least, most, samples.n_tokens)
        };
        let mut rows = vec![[runs_on, self.runs_on.clone()]];
        rows.extend(self.prefill.iter().map(|samples| [prefill.clone(), rate(samples)]));
        rows.extend(self.decode.iter().map(|samples| [decode.clone(), rate(samples)]));
        rows.push([load, format!("{:.2} s", self.load_s)]);
        rows.extend(self.peak_rss_bytes.map(|bytes| [memory, output::bytes(bytes)]));
        output::table(&rows)?;
        for (what, samples) in [(prefill, &self.prefill), (decode, &self.decode)] {
            if let Some(profile) = samples.as_ref().and_then(|samples| samples.profile.as_ref()) {
                profile.print(&what, lang)?;
            }
        }
        Ok(())
    }
}

fn bounds(samples: &[f64]) -> (f64, f64) {
    samples.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &x| (least.min(x), most.max(x)))
}

/// The one in the middle, or the mean of the two there.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
    (sorted[low] + sorted[high]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 10.0]), 3.0);
        assert_eq!(median(&[5.0]), 5.0);
    }

    #[test]
    fn rounds_begin_differently_and_stay_in_the_vocabulary() {
        assert_ne!(tokens(1, 3, 50).next(), tokens(2, 3, 50).next());
        assert!(tokens(7, 1000, 50).all(|id| id < 50));
    }
}
