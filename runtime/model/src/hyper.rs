//! Hyper-parameters, read from `{architecture}.*` metadata and checked before anything is computed with them.

use silhak_gguf::Metadata;

use crate::Error;

/// Bounds that every model stays far below; beyond them a file is broken, and sizes computed from it would overflow.
const MAX_LAYERS: usize = 1024;
const MAX_WIDTH: usize = 1 << 20;

/// The numbers that all transformer architectures have. Metadata keys follow the GGUF specification.
#[derive(Clone, Debug, PartialEq)]
pub struct HyperParams {
    /// `general.architecture`.
    pub architecture: String,
    /// Entries of the vocabulary.
    pub n_vocab: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Transformer blocks that a forward pass goes through.
    pub n_layers: usize,
    /// Blocks behind these that predict several tokens at once ("MTP"). They are in the file and not used.
    pub n_nextn_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key-value heads; fewer than query heads where heads share them (GQA).
    pub n_kv_heads: usize,
    /// Values per head. Not always `n_embd / n_heads`.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub n_ff: usize,
    /// Context length trained on, in tokens.
    pub n_ctx_train: usize,
    /// Added to the mean square in RMS norms.
    pub rms_eps: f32,
    /// Sliding window of the local layers, in tokens.
    pub window: Option<usize>,
}

impl HyperParams {
    /// Reads the parameters of `architecture`; `n_vocab` is the size of the tokenizer's vocabulary.
    pub(crate) fn read(metadata: &Metadata, architecture: &str, n_vocab: usize) -> Result<Self, Error> {
        let keys = Keys { metadata, architecture };
        let n_embd = keys.size("embedding_length", MAX_WIDTH)?;
        let n_heads = keys.size("attention.head_count", MAX_WIDTH)?;
        let n_kv_heads = keys.optional_size("attention.head_count_kv", MAX_WIDTH)?.unwrap_or(n_heads);
        let key_len = keys.optional_size("attention.key_length", MAX_WIDTH)?.unwrap_or(n_embd / n_heads);
        let value_len = keys.optional_size("attention.value_length", MAX_WIDTH)?.unwrap_or(key_len);
        // Where both are one latent, the value is a part of the key.
        let is_latent = keys.optional_size("attention.kv_lora_rank", MAX_WIDTH)?.is_some();
        keys.expect("attention.value_length", is_latent || key_len == value_len, key_len, value_len)?;
        keys.expect("attention.key_length", key_len > 0, "at least 1", key_len)?;
        let shared = n_heads.is_multiple_of(n_kv_heads);
        keys.expect("attention.head_count_kv", shared, format!("a divisor of {n_heads}"), n_kv_heads)?;
        let n_blocks = keys.size("block_count", MAX_LAYERS)?;
        let n_nextn_layers = keys.optional_count("nextn_predict_layers", n_blocks - 1)?;
        Ok(HyperParams {
            architecture: architecture.into(),
            n_vocab: keys.optional_size("vocab_size", usize::MAX)?.unwrap_or(n_vocab),
            n_embd,
            n_layers: n_blocks - n_nextn_layers,
            n_nextn_layers,
            n_heads,
            n_kv_heads,
            head_dim: key_len,
            // Where all blocks have experts, there may be no other width.
            n_ff: match keys.optional_size("expert_feed_forward_length", MAX_WIDTH)? {
                Some(n_ff) => keys.optional_size("feed_forward_length", MAX_WIDTH)?.unwrap_or(n_ff),
                None => keys.size("feed_forward_length", MAX_WIDTH)?,
            },
            n_ctx_train: keys.size("context_length", 1 << 30)?,
            rms_eps: keys.rms_eps()?,
            window: keys.optional_size("attention.sliding_window", 1 << 30)?,
        })
    }
}

/// Metadata under an architecture's prefix.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) architecture: &'a str,
}

impl Keys<'_> {
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    pub(crate) fn optional_f32(&self, name: &str) -> Result<Option<f32>, Error> {
        Ok(self.metadata.opt_f32(&self.key(name))?)
    }

    pub(crate) fn f32_or(&self, name: &str, default: f32) -> Result<f32, Error> {
        Ok(self.optional_f32(name)?.unwrap_or(default))
    }

    /// A size that must be there, from 1 to `max`.
    pub(crate) fn size(&self, name: &str, max: usize) -> Result<usize, Error> {
        let found = self.metadata.u32(&self.key(name))? as usize;
        self.expect(name, (1..=max).contains(&found), format!("1 to {max}"), found)?;
        Ok(found)
    }

    /// A size from 1 to `max`, if it is there.
    pub(crate) fn optional_size(&self, name: &str, max: usize) -> Result<Option<usize>, Error> {
        if self.metadata.get(&self.key(name)).is_none() { Ok(None) } else { self.size(name, max).map(Some) }
    }

    /// A number from 0 to `max`; 0 where it is not there.
    pub(crate) fn optional_count(&self, name: &str, max: usize) -> Result<usize, Error> {
        let found = self.metadata.opt_u32(&self.key(name))?.unwrap_or(0) as usize;
        self.expect(name, found <= max, format!("0 to {max}"), found)?;
        Ok(found)
    }

    fn rms_eps(&self) -> Result<f32, Error> {
        // NAVER's files have it under the name of norms that subtract the mean, which their models do not have.
        let naver = matches!(self.architecture, "hyperclovax" | "hcx-seed-think");
        match self.optional_f32("attention.layer_norm_epsilon")? {
            Some(eps) if naver => Ok(eps),
            _ => Ok(self.metadata.f32(&self.key("attention.layer_norm_rms_epsilon"))?),
        }
    }

    pub(crate) fn expect(
        &self,
        name: &str,
        holds: bool,
        expected: impl ToString,
        found: impl ToString,
    ) -> Result<(), Error> {
        let (expected, found) = (expected.to_string(), found.to_string());
        if holds { Ok(()) } else { Err(Error::HyperParam { key: self.key(name), expected, found }) }
    }
}
