//! The sizes of a model, and the metadata that states them.

use silhak_gguf::Value;
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
            ("attention.head_count_kv", size(self.n_kv_heads)),
            ("attention.key_length", size(self.head_dim)),
            ("attention.value_length", size(self.head_dim)),
            ("attention.layer_norm_rms_epsilon", Value::F32(self.rms_eps)),
            ("rope.dimension_count", size(self.head_dim)),
            ("rope.freq_base", Value::F32(self.rope_base)),
        ];
        entries.extend(self.window.map(|window| ("attention.sliding_window", size(window))));
        let architecture = self.architecture;
        entries.into_iter().map(move |(key, value)| (format!("{architecture}.{key}"), value))
    }

    pub(crate) fn outline(&self) -> Outline {
        Outline { n_layers: self.n_layers, n_sharing: self.n_heads / self.n_kv_heads.max(1), tied: self.tied }
    }
}
