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
    pub(crate) latent: Option<Latent>,
    n_embd: usize,
    n_ff: usize,
    n_ctx: usize,
    rms_eps: f32,
}

/// The sizes of latent attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latent {
    pub(crate) n_heads: usize,
    /// Values of a head's query that have no position, and so meet the latent.
    pub(crate) n_plain: usize,
    /// Values of a head's result.
    pub(crate) n_value: usize,
    n_turned: usize,
    rank: usize,
    q_rank: Option<usize>,
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
            latent: Latent::read(config, n_heads)?,
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
        let mut entries = vec![
            ("vocab_size", size(n_vocab)),
            ("block_count", size(self.n_layers)),
            ("context_length", size(self.n_ctx)),
            ("embedding_length", size(self.n_embd)),
            ("feed_forward_length", size(self.n_ff)),
            ("attention.head_count", size(self.n_heads)),
            ("attention.layer_norm_rms_epsilon", Value::F32(self.rms_eps)),
        ];
        match self.latent {
            Some(latent) => entries.extend(latent.metadata()),
            None => entries.extend([
                ("attention.head_count_kv", size(self.n_kv_heads)),
                ("attention.key_length", size(self.head_dim)),
                ("attention.value_length", size(self.head_dim)),
                ("rope.dimension_count", size(self.head_dim)),
            ]),
        }
        entries
    }

    pub(crate) fn outline(&self) -> Outline {
        Outline { n_layers: self.n_layers, n_sharing: self.n_heads / self.n_kv_heads.max(1), tied: self.tied }
    }
}

impl Latent {
    fn read(config: &Config, n_heads: usize) -> Result<Option<Latent>, Error> {
        let Some(rank) = config.opt_size("kv_lora_rank")? else { return Ok(None) };
        Ok(Some(Latent {
            n_heads,
            n_plain: config.size(&["qk_nope_head_dim"])?,
            n_value: config.size(&["v_head_dim"])?,
            n_turned: config.size(&["qk_rope_head_dim"])?,
            rank,
            q_rank: config.opt_size("q_lora_rank")?,
        }))
    }

    /// Values of a head's query.
    pub(crate) fn n_query(&self) -> usize {
        self.n_plain + self.n_turned
    }

    /// The one key that is kept has the latent and what is turned; the value is the latent.
    fn metadata(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let entries = [
            ("attention.head_count_kv", 1),
            ("attention.key_length", self.rank + self.n_turned),
            ("attention.value_length", self.rank),
            ("attention.key_length_mla", self.n_query()),
            ("attention.value_length_mla", self.n_value),
            ("attention.kv_lora_rank", self.rank),
            ("rope.dimension_count", self.n_turned),
        ];
        let of_queries = self.q_rank.map(|rank| ("attention.q_lora_rank", rank));
        entries.into_iter().chain(of_queries).map(|(key, n)| (key, Value::U32(n as u32)))
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
