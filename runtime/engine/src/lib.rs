//! Runs large Korean language models, quantized to 4 and 8 bits, on one machine.
//!
//! ```no_run
//! use silhak::{ChatOptions, GenerateOptions, LoadOptions, Message, Model};
//!
//! # fn main() -> Result<(), silhak::Error> {
//! let model = Model::load("model.gguf", LoadOptions::default())?;
//! let mut session = model.session();
//! let prompt = model.chat_prompt(&[Message::user("대한민국의 수도는 어디인가요?")], &ChatOptions::default())?;
//! for piece in session.generate(&prompt, GenerateOptions::default())? {
//!     print!("{}", piece?.text);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Model`] is immutable, cheap to clone and shared between threads; a [`Session`] is one timeline. The engine thread
//! owns the devices. Nothing here is global: two models do not know of each other.
//!
//! What a model runs on is its [`Device`]: a GPU, the CPU, or the last layers on the one and the first on the other, as
//! [`LoadOptions`] say and memory allows; [`Fit`] tells before. The cargo feature `gpu`, on by default, brings the GPUs.

#![forbid(unsafe_code)]

mod ahead;
mod cancel;
mod device;
mod devices;
mod error;
mod estimate;
mod file;
mod generation;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(not(feature = "gpu"))]
#[path = "no_gpu.rs"]
mod gpu;
mod inputs;
mod memory;
mod model;
mod options;
mod pages;
mod parts;
mod placement;
mod prompt;
mod renewable;
mod runner;
mod sampling;
mod score;
mod session;
mod template;
mod vocab;

pub use cancel::CancelToken;
pub use device::Device;
pub use error::Error;
pub use estimate::{Estimate, Fit};
pub use file::ModelFile;
pub use generation::{FinishReason, Generation, Piece, Usage};
#[cfg(feature = "gpu")]
pub use gpu::adapter_for;
pub use inputs::InputSquares;
pub use memory::SystemMemory;
pub use model::Model;
pub use options::{DEFAULT_CTX, GenerateOptions, LoadOptions, Progress};
pub use placement::Share;
pub use prompt::ChatOptions;
pub use sampling::{Logprobs, RecommendedSampling, SamplingOptions, TokenLogprob};
pub use score::Divergence;
pub use session::Session;
pub use template::TemplateSource;
pub use vocab::tokenizer;

pub use silhak_cpu as cpu;
pub use silhak_gguf as gguf;
#[cfg(feature = "gpu")]
pub use silhak_gpu::{AdapterInfo, GpuError, adapters};
pub use silhak_model::{Error as ModelError, GpuLayers, HyperParams, architectures};
pub use silhak_ops::{Error as BackendError, KernelTime, KvElement};
pub use silhak_text::{
    DateTime, Message, ReasoningTags, Special, Tokenizer, TokenizerError, ToolCall, ToolCallError, ToolCallFormat,
};
