//! From what the user typed to a loaded model.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use silhak::gguf::Gguf;
use silhak::{ChatOptions, DateTime, Device, GenerateOptions, LoadOptions, Model, Progress, SamplingOptions};
use silhak_store::StoreError;

use crate::cli::{ConsentArgs, DeviceArgs, EngineArgs, InputArgs, SamplingArgs};
use crate::commands::pull::pull;
use crate::context::Context;
use crate::messages::Lang;
use crate::progress;
use crate::thinking::Think;

/// The file of a model in the store, or of a path.
pub(crate) fn find(model: &str, context: &Context) -> Result<PathBuf, StoreError> {
    Ok(context.store.resolve(model, &context.catalogue)?.path)
}

/// As [`find`], but a model of the catalogue that is not in the store yet is fetched.
pub(crate) fn find_or_pull(model: &str, consent: &ConsentArgs, context: &Context) -> anyhow::Result<PathBuf> {
    match find(model, context) {
        Err(StoreError::NotFound { in_catalogue: true, .. }) => {
            let manifest = pull(&model.parse()?, consent, context)?;
            Ok(find(manifest.name.as_str(), context)?)
        }
        found => Ok(found?),
    }
}

/// Loads a model; a load that takes long shows a bar. Which kernels are fast on a GPU is kept beside the store's models.
pub(crate) fn load(path: &Path, options: LoadOptions, context: &Context) -> Result<Model, silhak::Error> {
    let bar = Arc::new(OnceLock::new());
    let progress = io::stderr().is_terminal().then(|| show_progress(Arc::clone(&bar), context.lang));
    let kernel_cache = Some(context.store.root().join("kernels"));
    let loaded = Model::load(path, LoadOptions { progress, kernel_cache, ..options });
    if let Some(bar) = bar.get() {
        bar.finish_and_clear();
    }
    loaded
}

/// Opens a model file, whatever its architecture.
pub(crate) fn open(path: &Path) -> Result<Gguf, silhak::Error> {
    Gguf::open(path).map_err(|source| silhak::Error::File { path: path.into(), source })
}

impl DeviceArgs {
    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions {
            device: self.device,
            adapter: self.adapter.clone(),
            gpu_layers: self.gpu_layers,
            gpu_memory: self.gpu_memory,
            kv_element: self.kv,
            threads: self.threads,
            isa: self.isa,
            repack: self.no_repack.then_some(false),
            panel_cache: self.panel_cache.clone(),
            ..LoadOptions::default()
        }
    }

    /// The threads that will run the model.
    pub(crate) fn n_threads(&self) -> usize {
        match self.device {
            Device::Auto | Device::Cpu | Device::Gpu => self.threads.unwrap_or_else(silhak::cpu::default_threads).get(),
            Device::Reference | Device::ReferenceA8 => 1,
        }
    }
}

impl EngineArgs {
    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions { n_ctx: self.ctx, pre: self.pre.pre.clone(), ..self.device.load_options() }
    }
}

impl SamplingArgs {
    /// What was asked for, and what the model's maker recommends for the rest.
    pub(crate) fn generate_options(&self, model: &Model) -> GenerateOptions {
        let recommended = model.recommended_sampling().options();
        GenerateOptions {
            sampling: SamplingOptions {
                temperature: self.temp.unwrap_or(recommended.temperature),
                top_k: self.top_k.unwrap_or(recommended.top_k),
                top_p: self.top_p.unwrap_or(recommended.top_p),
                min_p: self.min_p.unwrap_or(recommended.min_p),
                repetition_penalty: self.repeat_penalty.unwrap_or(recommended.repetition_penalty),
                frequency_penalty: self.frequency_penalty,
                presence_penalty: self.presence_penalty.unwrap_or(recommended.presence_penalty),
                seed: self.seed,
                ..recommended
            },
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            ..GenerateOptions::default()
        }
    }
}

impl InputArgs {
    /// The text that is meant.
    pub(crate) fn read(&self, lang: Lang) -> anyhow::Result<String> {
        match (&self.text, &self.file) {
            (Some(text), _) => Ok(text.clone()),
            (None, Some(path)) => read_text(path, lang),
            (None, None) => read_stdin(lang),
        }
    }
}

/// All of stdin.
pub(crate) fn read_stdin(lang: Lang) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = io::stdin().lock().read_to_string(&mut text);
    read.map_err(|error| anyhow!(lang.cannot_read_text(lang.stdin(), &error)))?;
    Ok(text)
}

/// All of a text file.
pub(crate) fn read_text(path: &Path, lang: Lang) -> anyhow::Result<String> {
    fs::read_to_string(path).map_err(|error| anyhow!(lang.cannot_read_text(&path.display().to_string(), &error)))
}

/// How a conversation becomes a prompt: a template that asks for the time is told what the user's clock shows.
pub(crate) fn chat_options(think: Think) -> ChatOptions {
    let utc_offset = jiff::Zoned::now().offset().seconds();
    let now = Some(DateTime::now(utc_offset));
    ChatOptions { now, variables: think.variables(), ..ChatOptions::default() }
}

/// A load shorter than this shows no bar.
const NOTICEABLE: Duration = Duration::from_millis(400);

fn show_progress(bar: Arc<OnceLock<indicatif::ProgressBar>>, lang: Lang) -> Arc<dyn Fn(Progress) + Send + Sync> {
    let started = Instant::now();
    Arc::new(move |progress| {
        if started.elapsed() > NOTICEABLE {
            let bar = bar.get_or_init(|| progress::bar(lang.loading(), progress.bytes, progress.total));
            bar.set_position(progress.bytes);
        }
    })
}
