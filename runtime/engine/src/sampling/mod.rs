//! From logits to the next token.
//!
//! The order is that of vLLM and `transformers`, for which the makers' recommended settings are meant: bias, penalties,
//! temperature, top-k, top-p, min-p.

mod logprobs;
mod penalties;
mod recommended;
mod sampler;

pub use logprobs::{Logprobs, TokenLogprob};
pub use recommended::RecommendedSampling;
pub use sampler::SamplingOptions;

pub(crate) use logprobs::log_sum_exp;
pub(crate) use sampler::Sampler;
