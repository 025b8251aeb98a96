//! The sizes of a model, and the metadata that states them.

use silhak_gguf::{Array, Value};
use silhak_quant::Outline;

/// The sizes that a file of a model has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// `general.architecture`. It decides which norms and biases there are beside the matrices of every decoder.
    pub architecture: &'static str,
    /// Entries of the vocabulary.
    pub n_vocab: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Transformer blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key-value heads.
    pub n_kv_heads: usize,
    /// Values per head.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub n_ff: usize,
    /// Context length trained on, in tokens.
    pub n_ctx: usize,
    /// Added to the mean square in RMS norms.
    pub rms_eps: f32,
    /// RoPE's base.
    pub rope_base: f32,
    /// The file has factors for RoPE's frequencies, as those of Llama 3 have.
    pub rope_factors: bool,
    /// The embedding is the output matrix, too.
    pub tied: bool,
    /// Sliding window of the local layers, in tokens.
    pub window: Option<usize>,
    /// The multipliers of muP.
    pub multipliers: Option<Multipliers>,
    /// Block skip connections.
    pub skips: Option<Skips>,
    /// Experts in place of one feed-forward layer.
    pub mixture: Option<Mixture>,
    /// Latent attention.
    pub latent: Option<Latent>,
}

/// One key and value for all heads, which take their queries and results to it and back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latent {
    /// Width of what queries are made from.
    pub q_rank: usize,
    /// Width of the latent.
    pub rank: usize,
    /// Values of a head's query without a position.
    pub n_plain: usize,
    /// Values of a head's query with a position.
    pub n_turned: usize,
    /// Values of a head's result.
    pub n_value: usize,
}

/// Experts, a few of which each token uses beside one that all share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    /// Experts of a block.
    pub n_experts: usize,
    /// Experts of a token.
    pub n_used: usize,
    /// Width of an expert, and of the shared one.
    pub n_ff: usize,
    /// Blocks at the beginning that have no experts.
    pub n_dense: usize,
    /// What the weights of a token's experts sum to.
    pub scale: f32,
}

/// What muP multiplies, where 1 would be the model without it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Multipliers {
    /// The embedding.
    pub embedding: f32,
    /// `q . k`, instead of `1 / sqrt(head_dim)`.
    pub attention: f32,
    /// What each sub-layer adds to the residual stream.
    pub residual: f32,
    /// The logits.
    pub logit: f32,
}

/// Layers whose input is kept in one of two slots, and layers whose input is blended with what is kept there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Skips {
    /// The layers that keep, for each slot.
    pub keeps: [&'static [usize]; 2],
    /// The layers that blend, for each slot.
    pub blends: [&'static [usize]; 2],
}

impl Shape {
    /// The same model with another number of layers: everything about it, in less room.
    #[must_use]
    pub fn with_layers(self, n_layers: usize) -> Shape {
        Shape { n_layers, ..self }
    }

    /// `{architecture}.*` as GGUF names it.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = (String, Value)> {
        let size = |n: usize| Value::U32(n as u32);
        let mut entries = vec![
            ("vocab_size", size(self.n_vocab)),
            ("block_count", size(self.n_layers)),
            ("context_length", size(self.n_ctx)),
            ("embedding_length", size(self.n_embd)),
            ("feed_forward_length", size(self.n_ff)),
            ("attention.head_count", size(self.n_heads)),
            ("attention.layer_norm_rms_epsilon", Value::F32(self.rms_eps)),
            ("rope.freq_base", Value::F32(self.rope_base)),
        ];
        match self.latent {
            None => entries.extend([
                ("attention.head_count_kv", size(self.n_kv_heads)),
                ("attention.key_length", size(self.head_dim)),
                ("attention.value_length", size(self.head_dim)),
                ("rope.dimension_count", size(self.head_dim)),
            ]),
            Some(Latent { q_rank, rank, n_plain, n_turned, n_value }) => entries.extend([
                ("attention.head_count_kv", size(1)),
                ("attention.key_length", size(rank + n_turned)),
                ("attention.value_length", size(rank)),
                ("attention.key_length_mla", size(n_plain + n_turned)),
                ("attention.value_length_mla", size(n_value)),
                ("attention.q_lora_rank", size(q_rank)),
                ("attention.kv_lora_rank", size(rank)),
                ("rope.dimension_count", size(n_turned)),
            ]),
        }
        if let Some(Mixture { n_experts, n_used, n_ff, n_dense, scale }) = self.mixture {
            entries.extend([
                ("expert_count", size(n_experts)),
                ("expert_used_count", size(n_used)),
                ("expert_feed_forward_length", size(n_ff)),
                ("expert_shared_count", size(1)),
                ("expert_gating_func", Value::U32(SIGMOID)),
                ("expert_weights_norm", Value::Bool(true)),
                ("expert_weights_scale", Value::F32(scale)),
                ("leading_dense_block_count", size(n_dense)),
            ]);
        }
        if let Some(window) = self.window {
            entries.push(("attention.sliding_window", size(window)));
        }
        if self.architecture.starts_with("exaone") && self.window.is_some() {
            let is_local = (1..=self.n_layers).map(|n| !n.is_multiple_of(4)).collect();
            entries.push(("attention.sliding_window_pattern", Value::Array(Array::Bool(is_local))));
        }
        if let Some(Multipliers { embedding, attention, residual, logit }) = self.multipliers {
            entries.extend([
                ("embedding_scale", Value::F32(embedding)),
                ("attention.scale", Value::F32(attention)),
                ("residual_scale", Value::F32(residual)),
                ("logit_scale", Value::F32(logit)),
            ]);
        }
        if let Some(Skips { keeps: [keep_0, keep_1], blends: [blend_0, blend_1] }) = self.skips {
            entries.extend([
                ("attention.block_skip_connection.0", self.flags(keep_0)),
                ("attention.block_skip_connection.1", self.flags(keep_1)),
                ("attention.block_skip_connection.2", self.flags(blend_0)),
                ("attention.block_skip_connection.3", self.flags(blend_1)),
            ]);
        }
        let architecture = self.architecture;
        entries.into_iter().map(move |(key, value)| (format!("{architecture}.{key}"), value))
    }

    /// 1 for each of `layers`, 0 for the others.
    fn flags(&self, layers: &[usize]) -> Value {
        Value::Array(Array::U32((0..self.n_layers).map(|i| u32::from(layers.contains(&i))).collect()))
    }

    pub(crate) fn outline(&self) -> Outline {
        Outline { n_layers: self.n_layers, n_sharing: self.n_heads / self.n_kv_heads.max(1), tied: self.tied }
    }
}

/// `expert_gating_func` of scores that are sigmoids.
const SIGMOID: u32 = 2;
