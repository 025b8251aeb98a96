//! A loaded model.

use std::hint::black_box;
use std::iter;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use silhak_model::HyperParams;
use silhak_ops::{Backend, KernelTime, MemoryUse};
use silhak_text::{ChatTemplate, Message, ReasoningTags, Special, Tokenizer, ToolCallFormat};

use crate::devices::Devices;
use crate::options::{LoadOptions, Progress};
use crate::pages::PagePool;
use crate::placement::Placement;
use crate::renewable::{Renewable, RunsOn};
use crate::runner::Runner;
use crate::{ChatOptions, Error, ModelFile, RecommendedSampling, Session, Share, estimate, prompt};

/// A model that is ready to answer. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) runner: Runner,
    pub(crate) pool: Arc<PagePool>,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) n_ctx: usize,
    template: Option<ChatTemplate>,
    reasoning_tags: Option<ReasoningTags>,
    tool_call_format: Option<ToolCallFormat>,
    recommended: RecommendedSampling,
    pub(crate) hyper: HyperParams,
    gpu_bandwidth: Option<f64>,
    load_time: Duration,
}

impl Model {
    /// Loads a GGUF file, or any shard of a split one.
    pub fn load(path: impl AsRef<Path>, options: LoadOptions) -> Result<Self, Error> {
        Self::load_on(path.as_ref(), options, Devices::open)
    }

    /// As [`Model::load`], on a GPU that the caller has opened: for tests, which break it.
    #[doc(hidden)]
    pub fn load_on_gpu(path: impl AsRef<Path>, options: LoadOptions, gpu: Arc<dyn Backend>) -> Result<Self, Error> {
        Self::load_on(path.as_ref(), options, |options, file| Devices::with_gpu(gpu, options, file))
    }

    fn load_on(
        path: &Path,
        options: LoadOptions,
        open: impl FnOnce(&LoadOptions, &ModelFile) -> Result<Devices, Error>,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let file = ModelFile::open(path)?;
        let tokenizer = file.tokenizer(options.pre.as_deref())?;
        let template = file.chat_template()?;
        let n_ctx = estimate::n_ctx(&file, &options)?;
        let config = estimate::exec_config(&file, &options)?;
        let devices = open(&options, &file)?;
        let gpu_bandwidth = devices.card.as_ref().and_then(|card| card.bandwidth);
        let (plan, weights) = (file.model().plan(), file.model().weights());
        let placement = Placement::first(&devices, plan, &config, options.gpu_layers)?;
        read_through(&placement.backend.reads(plan, weights)?, &options)?;

        let pool = Arc::new(PagePool::new(&plan.kv_groups(), &config.kv.n_pages, config.kv.page_len));
        let executor = Renewable::prepare(placement, devices, plan, weights, config, options.gpu_layers)?;
        let shared = Shared {
            runner: Runner::start(executor, Arc::clone(&pool))?,
            pool,
            tokenizer,
            n_ctx,
            template,
            reasoning_tags: file.reasoning_tags()?,
            tool_call_format: file.tool_call_format()?,
            recommended: RecommendedSampling::of(file.gguf().metadata()),
            hyper: file.model().hyper_params().clone(),
            gpu_bandwidth,
            load_time: started.elapsed(),
        };
        shared.log(path, &options, file.model().weight_bytes());
        Ok(Model { shared: Arc::new(shared) })
    }

    /// A new, empty timeline.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// The model's sizes.
    pub fn hyper_params(&self) -> &HyperParams {
        &self.shared.hyper
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.shared.tokenizer
    }

    /// Context length of a session, in tokens.
    pub fn n_ctx(&self) -> usize {
        self.shared.n_ctx
    }

    /// Whether the model has a chat template; one without completes raw text.
    pub fn can_chat(&self) -> bool {
        self.shared.template.is_some()
    }

    /// What runs the model now, by name: `cpu-avx2`, `gpu (NVIDIA H100)`, or both with a plus between. A GPU that is lost
    /// again and again, or does not come back, gets less of the model and then nothing: [`Model::shares`] tells.
    pub fn device(&self) -> String {
        self.shared.runner.footing().now().device
    }

    /// What each device has of the model now, in the order in which they run.
    pub fn shares(&self) -> Vec<Share> {
        self.shared.runner.footing().now().shares
    }

    /// How long loading took.
    pub fn load_time(&self) -> Duration {
        self.shared.load_time
    }

    /// What the devices hold for the model, and what of the mapped file they use.
    pub fn memory(&self) -> MemoryUse {
        self.shared.runner.footing().now().memory
    }

    /// What each kernel took since the last call, the slowest first. Empty without [`LoadOptions::profile`], and where a
    /// device has no timestamps.
    ///
    /// # Errors
    /// [`Error::Stopped`] where the engine thread has ended.
    pub fn profile(&self) -> Result<Vec<KernelTime>, Error> {
        self.shared.runner.profile()
    }

    /// Bytes per second that the GPU's memory gives to a kernel that only reads: what the bytes of a profile compare with.
    /// `None` without [`LoadOptions::profile`] or without a GPU.
    pub fn gpu_bandwidth(&self) -> Option<f64> {
        self.shared.gpu_bandwidth
    }

    /// The tokens of raw text, with the model's own rule for a first token (BOS). Special tokens in it are plain text.
    pub fn text_prompt(&self, text: &str) -> Vec<u32> {
        let tokens = self.shared.tokenizer.encode(text, Special::Ignore);
        self.shared.tokenizer.with_bos(tokens)
    }

    /// The tokens of a conversation through the model's chat template, ready for the answer. Special tokens spelled in
    /// the messages, the tools and the variables stay plain text.
    pub fn chat_prompt(&self, messages: &[Message], options: &ChatOptions) -> Result<Vec<u32>, Error> {
        let template = self.shared.template.as_ref().ok_or(Error::NoTemplate)?;
        prompt::chat(&self.shared.tokenizer, template, messages, options)
    }

    /// How the model marks its thinking; `None` for one that does not think. [`GenerateOptions::reasoning`] takes it.
    ///
    /// [`GenerateOptions::reasoning`]: crate::GenerateOptions::reasoning
    pub fn reasoning_tags(&self) -> Option<ReasoningTags> {
        self.shared.reasoning_tags
    }

    /// How the model writes that it calls a tool; `None` for one that calls none, or in a way that is not known.
    /// [`GenerateOptions::tool_calls`] takes it.
    ///
    /// [`GenerateOptions::tool_calls`]: crate::GenerateOptions::tool_calls
    pub fn tool_call_format(&self) -> Option<ToolCallFormat> {
        self.shared.tool_call_format
    }

    /// How the model's maker says that it is best sampled.
    pub fn recommended_sampling(&self) -> &RecommendedSampling {
        &self.shared.recommended
    }
}

impl Shared {
    /// Tells the log what was loaded.
    fn log(&self, file: &Path, options: &LoadOptions, weight_bytes: u64) {
        let RunsOn { device, memory, .. } = self.runner.footing().now();
        tracing::info!(
            file = %file.display(),
            backend = device,
            threads = options.device.threads(options),
            n_ctx = self.n_ctx,
            weight_bytes,
            mapped_bytes = memory.mapped,
            kv_bytes = memory.kv,
            scratch_bytes = memory.scratch,
            load_time = ?self.load_time,
            "model loaded"
        );
        tracing::debug!(
            architecture = self.hyper.architecture,
            n_vocab = self.hyper.n_vocab,
            n_layers = self.hyper.n_layers,
            n_ctx_train = self.hyper.n_ctx_train,
            pre = self.tokenizer.pre(),
            chat_template = self.template.is_some(),
            sequences = options.sequences,
            max_batch = options.max_batch,
            page_len = options.page_len,
            "model"
        );
    }
}

pub(crate) fn check_prompt(tokens: &[u32], n_ctx: usize, n_vocab: usize) -> Result<(), Error> {
    if tokens.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    if tokens.len() > n_ctx {
        return Err(Error::PromptTooLong { n_tokens: tokens.len(), n_ctx });
    }
    match tokens.iter().find(|&&id| id as usize >= n_vocab) {
        Some(&id) => Err(Error::TokenOutOfRange { id, n_vocab }),
        None => Ok(()),
    }
}

/// Touches every page of the weights, so that reading the disk happens here, seen and stoppable, and not in the first
/// answer. Where all of it is in memory it is the system that takes time, a page at a time, so several threads ask for them.
fn read_through(weights: &[Bytes], options: &LoadOptions) -> Result<(), Error> {
    const CHUNK: usize = 16 << 20;
    const OS_PAGE: usize = 4096;
    const MOST_THREADS: usize = 8;
    let chunks: Vec<&[u8]> = weights.iter().flat_map(|w| w.chunks(CHUNK)).collect();
    let total = weights.iter().map(|w| w.len() as u64).sum();
    let next = AtomicUsize::new(0);
    let read_on = || {
        let chunk = chunks.get(next.fetch_add(1, Ordering::Relaxed))?;
        black_box(chunk.iter().step_by(OS_PAGE).fold(0u8, |sum, &byte| sum.wrapping_add(byte)));
        Some(chunk.len() as u64)
    };
    thread::scope(|scope| {
        let (done, read) = mpsc::channel();
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS).min(chunks.len()) {
            let done = done.clone();
            // After a cancellation nobody listens.
            let reader = move || while read_on().is_some_and(|bytes| done.send(bytes).is_ok()) {};
            if thread::Builder::new().spawn_scoped(scope, reader).is_err() {
                break;
            }
        }
        drop(done);
        let mut bytes = 0;
        // Where there are no threads to be had, this one reads.
        for n in read.into_iter().chain(iter::from_fn(read_on)) {
            if options.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            bytes += n;
            if let Some(progress) = &options.progress {
                progress(Progress { bytes, total });
            }
        }
        Ok(())
    })
}

/// Models and what belongs to them go wherever an app wants them.
const _: () = {
    const fn send_sync<T: Send + Sync>() {}
    const fn send<T: Send>() {}
    send_sync::<Model>();
    send_sync::<crate::CancelToken>();
    send_sync::<Error>();
    send::<Session>();
};
