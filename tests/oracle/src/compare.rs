//! `oracle compare`: a text through llama.cpp and through Silhak.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use silhak::{Device, LoadOptions};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use crate::llama::Model;
use crate::logits::{each_row, log_sum_exp, read};

#[derive(Args)]
pub(crate) struct Options {
    /// GGUF files
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// A text; all of it must have the same ids
    #[arg(long)]
    file: PathBuf,
    /// Compare predictions for this many ids, in one window
    #[arg(short = 'n', long, default_value_t = 256)]
    n_tokens: usize,
    #[arg(long, default_value_t = NonZero::<usize>::MIN.saturating_add(1))]
    threads: NonZero<usize>,
    /// llama.cpp's layers on the GPU, the output counted as one; needs a build with `--vulkan`
    #[arg(long, default_value_t = 0)]
    gpu_layers: u32,
    /// What Silhak computes on
    #[arg(long, default_value_t = Device::Cpu)]
    device: Device,
    /// Largest difference of the mean NLL, in nats. Each side rounds activations in its own way: llama.cpp's one scale
    /// for 256 of them costs it 0.031 on Qwen2.5 1.5B
    #[arg(long, default_value_t = 0.04)]
    tolerance: f64,
}

/// Two predictions of the same ids.
#[derive(Default)]
struct Difference {
    theirs_nll: f64,
    ours_nll: f64,
    /// Sum over places of the Kullback-Leibler divergence of ours from theirs, in nats.
    divergence: f64,
    /// Places where both find the same token likeliest.
    agreements: usize,
    places: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let text = read(&options.file)?;
    let mut failures = Vec::new();
    for model in &options.models {
        let name = model.display();
        let difference = compare(model, &text, options).with_context(|| format!("{name}"))?;
        let Difference { theirs_nll, ours_nll, divergence, agreements, places } = difference;
        let n = places as f64;
        let (theirs, ours) = (theirs_nll / (n - 1.0), ours_nll / (n - 1.0));
        println!(
            "{name}: mean NLL {theirs:.5} (llama.cpp) {ours:.5} ({}), mean divergence {:.5}, same first choice {agreements} of {places}",
            options.device,
            divergence / n
        );
        let near = (theirs - ours).abs() <= options.tolerance; // false for a NaN
        if !near {
            failures.push(format!("{name}: mean NLL differs by {:.5}, over {}", ours - theirs, options.tolerance));
        }
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

fn compare(path: &Path, text: &str, options: &Options) -> Result<Difference> {
    let theirs = Model::load(path, options.gpu_layers)?;
    let load = LoadOptions {
        device: options.device,
        threads: Some(options.threads),
        n_ctx: Some(options.n_tokens),
        ..LoadOptions::default()
    };
    let ours = silhak::Model::load(path, load)?;
    let mut ids = ours.text_prompt(text);
    same_ids(&ids, &theirs.tokenize(text)?)?;
    ids.truncate(options.n_tokens);

    let rows = ours.logits(&ids, ids.len())?;
    let n_vocab = theirs.n_vocab();
    if rows.len() != ids.len() * n_vocab {
        bail!("expected {} logits of Silhak, found {}", ids.len() * n_vocab, rows.len());
    }
    let signed = ids.iter().map(|&id| i32::try_from(id)).collect::<Result<Vec<_>, _>>()?;
    let mut difference = Difference::default();
    each_row(&theirs, &signed, options.threads.get(), true, |place, theirs| {
        difference.add(theirs, &rows[place * n_vocab..][..n_vocab], ids.get(place + 1).copied());
    })?;
    Ok(difference)
}

impl Difference {
    fn add(&mut self, theirs: &[f32], ours: &[f32], next: Option<u32>) {
        let (theirs_sum, ours_sum) = (log_sum_exp(theirs), log_sum_exp(ours));
        for (&theirs, &ours) in theirs.iter().zip(ours) {
            let (theirs, ours) = (f64::from(theirs) - theirs_sum, f64::from(ours) - ours_sum);
            self.divergence += theirs.exp() * (theirs - ours);
        }
        if let Some(next) = next {
            self.theirs_nll += theirs_sum - f64::from(theirs[next as usize]);
            self.ours_nll += ours_sum - f64::from(ours[next as usize]);
        }
        self.agreements += usize::from(likeliest(theirs) == likeliest(ours));
        self.places += 1;
    }
}

fn same_ids(ours: &[u32], theirs: &[i32]) -> Result<()> {
    let first = ours.iter().zip(theirs).position(|(&ours, &theirs)| i64::from(ours) != i64::from(theirs));
    match first {
        Some(place) => {
            bail!("id {place} of the text is {} with llama.cpp and {} with Silhak", theirs[place], ours[place])
        }
        None if ours.len() != theirs.len() => {
            bail!("the text has {} ids with llama.cpp and {} with Silhak", theirs.len(), ours.len())
        }
        None => Ok(()),
    }
}

fn likeliest(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
}
