//! How a model is loaded, and how text is generated.

use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use silhak_cpu::Isa;
use silhak_model::GpuLayers;
use silhak_ops::KvElement;
use silhak_text::{ReasoningTags, ToolCallFormat};

use crate::{CancelToken, Device, SamplingOptions};

/// Context length where the caller asks for none, in tokens; less if the model was trained on less.
pub const DEFAULT_CTX: usize = 4096;

/// How much of a model file has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub bytes: u64,
    /// Bytes in all.
    pub total: u64,
}

/// How a model is loaded.
#[derive(Clone)]
pub struct LoadOptions {
    /// What runs it.
    pub device: Device,
    /// Part of the GPU's name; `None` takes the first, cards before what is part of the processor.
    pub adapter: Option<String>,
    /// Layers on the GPU, from the last one on; the others run on the CPU.
    pub gpu_layers: GpuLayers,
    /// Bytes of the GPU's memory that the model may take; `None` takes nine tenths of what it has.
    pub gpu_memory: Option<u64>,
    /// Folder that keeps which kernels are the fastest on which GPU. A card that it does not know is measured, which takes
    /// some seconds once; `None` measures nothing and takes what is fast on most.
    pub kernel_cache: Option<PathBuf>,
    /// CPU threads; `None` takes one per physical core that the process may use.
    pub threads: Option<NonZero<usize>>,
    /// Best instruction set that CPU kernels may use; `None` takes the best that the processor has.
    pub isa: Option<Isa>,
    /// Whether weights on the CPU are repacked while they are loaded, into the layout that its kernels read fastest: as much
    /// memory as the weights is then held, and not the mapped file, which can be dropped and read again. `None` does it
    /// where the model takes less than three quarters of the memory that is available. Answers are the same.
    pub repack: Option<bool>,
    /// Folder that keeps repacked weights, in a file as large as the weights: from the second load on it is mapped, which is
    /// as fast as not repacking, and can be dropped from memory as the model's file can. So memory is no reason any more not
    /// to repack. What it has of models that changed or are gone is removed as others are written.
    pub panel_cache: Option<PathBuf>,
    /// Context length of a session, in tokens; `None` is [`DEFAULT_CTX`], or what the model was trained on if that is
    /// less.
    pub n_ctx: Option<usize>,
    /// Sessions that can fill their context at the same time. More can be open, as long as they stay shorter.
    pub sequences: usize,
    /// Most tokens of a prompt that run as one batch. Cancelling takes effect between batches.
    pub max_batch: usize,
    /// Tokens per page of keys and values.
    pub page_len: usize,
    /// How keys and values are stored; `None` takes half precision, or for [`Device::Reference`] single. In 8 bits a context
    /// takes little more than half of the memory, and attention over a long one reads as much less; small models answer
    /// noticeably worse. What the model's heads do not fit is an error.
    pub kv_element: Option<KvElement>,
    /// Overrides the pre-tokenizer that the file names (`tokenizer.ggml.pre`).
    pub pre: Option<String>,
    /// Times every kernel on the GPU, which makes the whole slower: [`crate::Model::profile`] tells.
    pub profile: bool,
    /// Called while the file is read, on the loading thread.
    pub progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    /// Stops the loading.
    pub cancel: CancelToken,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            device: Device::Auto,
            adapter: None,
            gpu_layers: GpuLayers::Auto,
            gpu_memory: None,
            kernel_cache: None,
            threads: None,
            isa: None,
            repack: None,
            panel_cache: None,
            n_ctx: None,
            sequences: 1,
            max_batch: 512,
            page_len: 64,
            kv_element: None,
            pre: None,
            profile: false,
            progress: None,
            cancel: CancelToken::new(),
        }
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("device", &self.device)
            .field("adapter", &self.adapter)
            .field("gpu_layers", &self.gpu_layers)
            .field("gpu_memory", &self.gpu_memory)
            .field("kernel_cache", &self.kernel_cache)
            .field("threads", &self.threads)
            .field("isa", &self.isa)
            .field("repack", &self.repack)
            .field("panel_cache", &self.panel_cache)
            .field("n_ctx", &self.n_ctx)
            .field("sequences", &self.sequences)
            .field("max_batch", &self.max_batch)
            .field("page_len", &self.page_len)
            .field("kv_element", &self.kv_element)
            .field("pre", &self.pre)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// How text is generated.
#[derive(Clone, Debug, Default)]
pub struct GenerateOptions {
    /// How each token is chosen.
    pub sampling: SamplingOptions,
    /// Most tokens of the answer; `None` goes on until the model ends or the context is full.
    pub max_tokens: Option<usize>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// Parts the thinking that a model marks so from its answer, and keeps it apart in [`crate::Piece`]. Stop strings count in
    /// the answer alone.
    pub reasoning: Option<ReasoningTags>,
    /// Parts the calls of tools that a model writes so from its answer, and gives them in [`crate::Piece`]; what is within the
    /// thinking is no call. Stop strings do not count in calls.
    pub tool_calls: Option<ToolCallFormat>,
    /// Reports the log-probability of each token, and of this many most likely ones.
    pub logprobs: Option<usize>,
    /// Goes on where the model ends its turn, for benchmarks.
    pub ignore_end: bool,
    /// Stops the generation; what there is by then is kept.
    pub cancel: CancelToken,
}
