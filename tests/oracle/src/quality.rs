//! `oracle quality`: what llama.cpp's quantizer and Silhak's lose of the same model, side by side.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use llama_cpp_sys_2 as sys;
use silhak::{CancelToken, Device, LoadOptions, Model};
use silhak_convert::{Importance, Mix, QuantizeOptions, quantize};
use std::ffi::CString;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::{fs, ptr};

use crate::llama;
use crate::logits::read;

#[derive(Args)]
pub(crate) struct Options {
    /// A GGUF file in F32, F16 or BF16
    source: PathBuf,
    /// A text to score
    #[arg(long)]
    file: PathBuf,
    /// Score this many tokens, in one window
    #[arg(short = 'n', long, default_value_t = 1024)]
    n_tokens: usize,
    #[arg(
        long,
        value_delimiter = ',',
        default_values = ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_XS", "Q3_K_M"]
    )]
    types: Vec<Mix>,
    /// An importance matrix: each type is tried with it, too
    #[arg(long)]
    imatrix: Option<PathBuf>,
    #[arg(long, default_value_t = NonZero::<usize>::MIN.saturating_add(1))]
    threads: NonZero<usize>,
    /// Where the quantized files are written, to be deleted
    #[arg(long)]
    folder: PathBuf,
}

/// What is left of a model.
struct Quality {
    bytes: u64,
    perplexity: f64,
    kl: f64,
    same_first: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let text = read(&options.file)?;
    let source = load(&options.source, options)?;
    let mut tokens = source.text_prompt(&text);
    if tokens.len() < options.n_tokens {
        bail!("the text has {} tokens, fewer than {}", tokens.len(), options.n_tokens);
    }
    tokens.truncate(options.n_tokens);
    let of_source = perplexity(&source.score(&tokens, &CancelToken::new())?);
    println!("{} tokens, perplexity of the source {of_source:.3}; llama.cpp | Silhak\n", tokens.len());
    println!("| type | importance | MB | perplexity | KL divergence (nat) | same first choice |");
    println!("|---|---|---|---|---|---|");
    let importance = options.imatrix.as_deref().map(Importance::read).transpose()?;
    for &mix in &options.types {
        for importance in [None, importance.as_ref()].into_iter().take(1 + usize::from(importance.is_some())) {
            let theirs = with_file(options, "theirs.gguf", |target| by_llama(options, target, mix, importance))
                .and_then(|file| file.quality(&source, &tokens, options))?;
            let ours = with_file(options, "ours.gguf", |target| by_silhak(options, target, mix, importance))
                .and_then(|file| file.quality(&source, &tokens, options))?;
            println!(
                "| {mix} | {} | {:.1} \\| {:.1} | {:.3} \\| {:.3} | {:.5} \\| {:.5} | {:.1} % \\| {:.1} % |",
                if importance.is_some() { "yes" } else { "no" },
                theirs.bytes as f64 / 1e6,
                ours.bytes as f64 / 1e6,
                theirs.perplexity,
                ours.perplexity,
                theirs.kl,
                ours.kl,
                100.0 * theirs.same_first,
                100.0 * ours.same_first,
            );
        }
    }
    Ok(())
}

/// A quantized file, deleted when it is no longer needed.
struct Quantized(PathBuf);

impl Drop for Quantized {
    fn drop(&mut self) {
        // Another run would write over what stays.
        let _ = fs::remove_file(&self.0);
    }
}

impl Quantized {
    fn quality(&self, source: &Model, tokens: &[u32], options: &Options) -> Result<Quality> {
        let divergence = load(&self.0, options)?.divergence(source, tokens, &CancelToken::new())?;
        let n = divergence.kl.len() as f64;
        Ok(Quality {
            bytes: fs::metadata(&self.0)?.len(),
            perplexity: perplexity(&divergence.nll),
            kl: divergence.kl.iter().sum::<f64>() / n,
            same_first: divergence.n_same_first as f64 / n,
        })
    }
}

fn with_file(options: &Options, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<Quantized> {
    let file = Quantized(options.folder.join(name));
    write(&file.0)?;
    Ok(file)
}

fn by_silhak(options: &Options, target: &Path, mix: Mix, importance: Option<&Importance>) -> Result<()> {
    let settings = QuantizeOptions {
        mix,
        importance: importance.cloned(),
        allow_requantize: false,
        threads: Some(options.threads),
    };
    quantize(&options.source, target, &settings, &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

fn by_llama(options: &Options, target: &Path, mix: Mix, importance: Option<&Importance>) -> Result<()> {
    llama::start();
    let c_path =
        |path: &Path| Ok::<_, anyhow::Error>(CString::new(path.to_str().context("a path that is not UTF-8")?)?);
    let (from, to) = (c_path(&options.source)?, c_path(target)?);
    let names = importance.iter().flat_map(|i| i.matrices()).map(|(name, _)| CString::new(name));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let entries = importance.iter().flat_map(|i| i.matrices()).zip(&names);
    let entry = |((_, means), name): ((&str, &[f32]), &CString)| sys::llama_model_imatrix_data {
        name: name.as_ptr(),
        data: means.as_ptr(),
        size: means.len(),
    };
    // The list ends with an entry without a name.
    let end = sys::llama_model_imatrix_data { name: ptr::null(), data: ptr::null(), size: 0 };
    let data: Vec<_> = entries.map(entry).chain([end]).collect();
    // SAFETY: returns plain data.
    let mut params = unsafe { sys::llama_model_quantize_default_params() };
    params.ftype = mix.file_type() as sys::llama_ftype;
    params.nthread = i32::try_from(options.threads.get())?;
    if importance.is_some() {
        params.imatrix = data.as_ptr();
    }
    // SAFETY: the paths end with NUL, `data` with an empty entry, and all that they point to outlives the call.
    let failed = unsafe { sys::llama_model_quantize(from.as_ptr(), to.as_ptr(), &raw const params) };
    if failed != 0 {
        bail!("llama.cpp cannot quantize {} to {mix}", options.source.display());
    }
    Ok(())
}

fn load(path: &Path, options: &Options) -> Result<Model> {
    let load = LoadOptions {
        device: Device::Cpu,
        threads: Some(options.threads),
        n_ctx: Some(options.n_tokens),
        ..LoadOptions::default()
    };
    Ok(Model::load(path, load)?)
}

fn perplexity(nll: &[f64]) -> f64 {
    (nll.iter().sum::<f64>() / nll.len() as f64).exp()
}
