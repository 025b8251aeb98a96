//! The hyper-parameters that every decoder has, under the names that makers give them.

use silhak_gguf::Value;
use silhak_quant::Outline;

use crate::Error;
use crate::config::Config;

#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    pub(crate) n_layers: usize,
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) tied: bool,
    /// Of each block that has any.
    pub(crate) n_experts: usize,
    /// Blocks without experts; they come first.
    pub(crate) n_dense_layers: usize,
    n_embd: usize,
    n_ff: usize,
    n_ctx: usize,
    rms_eps: f32,
}

impl Sizes {
    /// `has_output` is whether the checkpoint has an output matrix, which decides where the maker does not say.
    pub(crate) fn read(config: &Config, has_output: bool) -> Result<Sizes, Error> {
        let n_embd = config.size(&["hidden_size"])?;
        let n_heads = config.size(&["num_attention_heads"])?;
        if n_heads == 0 {
            return Err(config.wrong("num_attention_heads", "at least 1"));
        }
        let rms_eps = match config.opt_f32("rms_norm_eps")? {
            Some(eps) => eps,
            None => config.f32("layer_norm_epsilon")?,
        };
        let n_layers = config.size(&["num_hidden_layers", "num_layers"])?;
        let n_experts = n_experts(config)?;
        Ok(Sizes {
            n_layers,
            n_experts,
            n_dense_layers: if n_experts == 0 { n_layers } else { n_dense_layers(config, n_layers)? },
            n_heads,
            n_kv_heads: config.opt_size("num_key_value_heads")?.unwrap_or(n_heads),
            head_dim: config.opt_size("head_dim")?.unwrap_or(n_embd / n_heads),
            tied: config.opt_bool("tie_word_embeddings")?.unwrap_or(!has_output),
            n_embd,
            // Where all blocks have experts, there may be no other width.
            n_ff: config.size(&["intermediate_size", "moe_intermediate_size"])?,
            n_ctx: config.size(&["max_position_embeddings"])?,
            rms_eps,
        })
    }

    /// As GGUF names them, without the architecture's prefix.
    pub(crate) fn metadata(&self, n_vocab: usize) -> Vec<(&'static str, Value)> {
        let size = |n: usize| Value::U32(n as u32);
        vec![
            ("vocab_size", size(n_vocab)),
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
        ]
    }

    pub(crate) fn outline(&self) -> Outline {
        Outline { n_layers: self.n_layers, n_sharing: self.n_heads / self.n_kv_heads.max(1), tied: self.tied }
    }
}

fn n_experts(config: &Config) -> Result<usize, Error> {
    for name in ["num_experts", "n_routed_experts"] {
        if let Some(n) = config.opt_size(name)? {
            return Ok(n);
        }
    }
    Ok(0)
}

/// Blocks before the first with experts: told block by block, or by their number.
fn n_dense_layers(config: &Config, n_layers: usize) -> Result<usize, Error> {
    const TYPES: &str = "mlp_layer_types";
    let Some(types) = config.get(TYPES) else { return Ok(config.opt_size("first_k_dense_replace")?.unwrap_or(0)) };
    let wrong = || config.wrong(TYPES, format!("{n_layers} of dense and sparse, the dense first"));
    let types = types.as_array().filter(|types| types.len() == n_layers).ok_or_else(wrong)?;
    let n_dense = types.iter().take_while(|ty| *ty == "dense").count();
    if types[n_dense..].iter().all(|ty| ty == "sparse") { Ok(n_dense) } else { Err(wrong()) }
}
