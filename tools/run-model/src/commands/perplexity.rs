//! `run-model perplexity MODEL`

use anyhow::bail;
use serde::Serialize;
use silhak::{CancelToken, LoadOptions};

use crate::cli::PerplexityArgs;
use crate::context::Context;
use crate::{engine, output};

pub(crate) fn run(args: &PerplexityArgs, context: &Context) -> anyhow::Result<()> {
    let text = args.input.read(context.lang)?;
    let path = engine::find(&args.model, context)?;
    // One window holds all the tokens that were asked for.
    let wanted = args.tokens.map(|n| n as usize);
    let options = LoadOptions { n_ctx: args.engine.ctx.or(wanted), ..args.engine.load_options() };
    let model = engine::load(&path, options, context)?;
    let mut tokens = model.text_prompt(&text);
    let n_tokens = wanted.unwrap_or_else(|| tokens.len().min(model.n_ctx()));
    if tokens.len() < n_tokens || n_tokens < 2 {
        bail!(context.lang.text_too_short(tokens.len(), n_tokens.max(2)));
    }
    tokens.truncate(n_tokens);
    let nll = model.score(&tokens, &CancelToken::new())?;
    let mean_nll = nll.iter().sum::<f64>() / nll.len() as f64;
    let score = Score { n_tokens, mean_nll, perplexity: mean_nll.exp(), nll };
    if args.json {
        return output::json_line(&score);
    }
    let [tokens, mean, perplexity] = context.lang.score_heads().map(str::to_owned);
    output::table(&[
        [tokens, score.n_tokens.to_string()],
        [mean, format!("{:.4}", score.mean_nll)],
        [perplexity, format!("{:.4}", score.perplexity)],
    ])
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
