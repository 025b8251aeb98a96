//! `run-model perplexity MODEL`

use anyhow::bail;
use serde::Serialize;
use silhak::{CancelToken, Divergence, LoadOptions, Model};

use crate::cli::PerplexityArgs;
use crate::context::Context;
use crate::{engine, output};

pub(crate) fn run(args: &PerplexityArgs, context: &Context) -> anyhow::Result<()> {
    let text = args.input.read(context.lang)?;
    // One window holds all the tokens that were asked for.
    let wanted = args.tokens.map(|n| n as usize);
    let load = |model: &str| {
        let options = LoadOptions { n_ctx: args.engine.ctx.or(wanted), ..args.engine.load_options() };
        anyhow::Ok(engine::load(&engine::find(model, context)?, options, context)?)
    };
    let model = load(&args.model)?;
    let mut tokens = model.text_prompt(&text);
    let n_tokens = wanted.unwrap_or_else(|| tokens.len().min(model.n_ctx()));
    if tokens.len() < n_tokens || n_tokens < 2 {
        bail!(context.lang.text_too_short(tokens.len(), n_tokens.max(2)));
    }
    tokens.truncate(n_tokens);
    match &args.against {
        None => print_score(&model, &tokens, args, context),
        Some(source) => print_divergence(&model, &load(source)?, &tokens, args, context),
    }
}

fn print_score(model: &Model, tokens: &[u32], args: &PerplexityArgs, context: &Context) -> anyhow::Result<()> {
    let nll = model.score(tokens, &CancelToken::new())?;
    let mean_nll = mean(&nll);
    let score = Score { n_tokens: tokens.len(), mean_nll, perplexity: mean_nll.exp(), nll };
    if args.json {
        return output::json_line(&score);
    }
    output::table(&score.table(context))
}

fn print_divergence(
    model: &Model,
    source: &Model,
    tokens: &[u32],
    args: &PerplexityArgs,
    context: &Context,
) -> anyhow::Result<()> {
    let Divergence { nll, source_nll, kl, n_same_first } = model.divergence(source, tokens, &CancelToken::new())?;
    let (mean_nll, n) = (mean(&nll), nll.len() as f64);
    let score = Score { n_tokens: tokens.len(), mean_nll, perplexity: mean_nll.exp(), nll };
    let of_source = Against {
        source_perplexity: mean(&source_nll).exp(),
        mean_kl: mean(&kl),
        largest_kl: kl.iter().copied().fold(0.0, f64::max),
        same_first: n_same_first as f64 / n,
        score,
    };
    if args.json {
        return output::json_line(&of_source);
    }
    let [source, divergence, same] = context.lang.divergence_heads().map(str::to_owned);
    let rows = [
        [source, format!("{:.4}", of_source.source_perplexity)],
        [divergence, format!("{:.5}", of_source.mean_kl)],
        [same, format!("{:.1} %", 100.0 * of_source.same_first)],
    ];
    output::table(&[of_source.score.table(context), rows].concat())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A score as `perplexity --json` prints it.
#[derive(Serialize)]
struct Score {
    n_tokens: usize,
    /// In nats.
    mean_nll: f64,
    perplexity: f64,
    /// Of each token but the first, given those before it.
    nll: Vec<f64>,
}

impl Score {
    fn table(&self, context: &Context) -> [[String; 2]; 3] {
        let [tokens, mean, perplexity] = context.lang.score_heads().map(str::to_owned);
        [
            [tokens, self.n_tokens.to_string()],
            [mean, format!("{:.4}", self.mean_nll)],
            [perplexity, format!("{:.4}", self.perplexity)],
        ]
    }
}

/// A score, and how far the model is from another.
#[derive(Serialize)]
struct Against {
    #[serde(flatten)]
    score: Score,
    source_perplexity: f64,
    /// Kullback-Leibler divergence of the model's predictions from the source's, in nats.
    mean_kl: f64,
    largest_kl: f64,
    /// Share of the places where both find the same token likeliest.
    same_first: f64,
}
