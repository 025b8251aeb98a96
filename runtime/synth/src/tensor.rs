//! The tensors of each architecture: names, shapes, formats.

use silhak_quant::{Format, Mix};

use crate::{Latent, Mixture, Shape};

/// A tensor to be filled with random values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name in the file.
    pub name: String,
    /// Its format.
    pub format: Format,
    /// Rows; a vector is one.
    pub rows: usize,
    /// Values per row.
    pub cols: usize,
    /// Matrices that the rows are those of: one, or that of each expert.
    pub n_matrices: usize,
}

impl Tensor {
    /// All tensors of a model, in the order of the file.
    pub(crate) fn list(shape: &Shape, mix: Mix) -> Vec<Tensor> {
        let mut parts = vec![matrix("token_embd", shape.n_vocab, shape.n_embd)];
        parts.extend(shape.rope_factors.then(|| vector("rope_freqs.weight", shape.head_dim / 2)));
        parts.extend(shape.skips.map(|_| vector("bskcn_tv.weight", 2)));
        for layer in 0..shape.n_layers {
            let block = attention(shape).into_iter().chain(feed_forward(shape, layer));
            parts.extend(block.map(|part| Part { name: format!("blk.{layer}.{}", part.name), ..part }));
        }
        parts.push(vector("output_norm.weight", shape.n_embd));
        parts.extend((!shape.tied).then(|| matrix("output", shape.n_vocab, shape.n_embd)));
        let outline = shape.outline();
        let tensor = |Part { name, rows, cols, n_matrices }| {
            // What goes into a vector is not worth a loss, nor what chooses between experts.
            let is_small = rows == 1 || name.contains("ffn_gate_inp");
            let format = if is_small { Format::F32 } else { mix.format(&name, cols, &outline) };
            Tensor { name, format, rows, cols, n_matrices }
        };
        parts.into_iter().map(tensor).collect()
    }
}

/// A tensor before its format is chosen.
struct Part {
    name: String,
    rows: usize,
    cols: usize,
    n_matrices: usize,
}

fn matrix(name: &str, rows: usize, cols: usize) -> Part {
    matrices(name, 1, rows, cols)
}

/// The matrices of `n` experts.
fn matrices(name: &str, n: usize, rows: usize, cols: usize) -> Part {
    Part { name: format!("{name}.weight"), rows: n * rows, cols, n_matrices: n }
}

fn vector(name: &str, len: usize) -> Part {
    Part { name: name.to_owned(), rows: 1, cols: len, n_matrices: 1 }
}

fn norm(name: &str, len: usize) -> Part {
    vector(&format!("{name}.weight"), len)
}

/// The parts of a transformer block but for its feed-forward layer: attention, and all norms.
fn attention(shape: &Shape) -> Vec<Part> {
    let mut parts = match shape.latent {
        None => plain_attention(shape),
        Some(latent) => latent_attention(shape, latent),
    };
    let &Shape { n_embd, head_dim, .. } = shape;
    let norms = |names: [&str; 2]| names.map(|name| norm(name, n_embd));
    let norms_before = norms(["attn_norm", "ffn_norm"]);
    let norms_behind = norms(["post_attention_norm", "post_ffw_norm"]);
    let norms_of_heads = ["attn_q_norm", "attn_k_norm"].map(|name| norm(name, head_dim));
    match shape.architecture {
        "exaone4" => parts.extend(norms_behind.into_iter().chain(norms_of_heads)),
        "exaone-moe" => parts.extend(norms_before.into_iter().chain(norms_of_heads)),
        // The second, too, stands before its sub-layer.
        "glm4moe" => parts.extend(norms(["attn_norm", "post_attention_norm"])),
        "gemma3" => parts.extend(norms_before.into_iter().chain(norms_behind).chain(norms_of_heads)),
        "hyperclovax" | "hcx-seed-think" | "vaetki" => parts.extend(norms_before.into_iter().chain(norms_behind)),
        _ => parts.extend(norms_before),
    }
    parts
}

fn plain_attention(shape: &Shape) -> Vec<Part> {
    let &Shape { n_embd, n_heads, n_kv_heads, head_dim, .. } = shape;
    let (q, kv) = (n_heads * head_dim, n_kv_heads * head_dim);
    let mut parts = vec![
        matrix("attn_q", q, n_embd),
        matrix("attn_k", kv, n_embd),
        matrix("attn_v", kv, n_embd),
        matrix("attn_output", n_embd, q),
    ];
    if shape.architecture == "qwen2" {
        parts.extend([vector("attn_q.bias", q), vector("attn_k.bias", kv), vector("attn_v.bias", kv)]);
    }
    parts
}

fn latent_attention(shape: &Shape, latent: Latent) -> Vec<Part> {
    let &Shape { n_embd, n_heads, .. } = shape;
    let Latent { q_rank, rank, n_plain, n_turned, n_value } = latent;
    vec![
        matrix("attn_q_a", q_rank, n_embd),
        norm("attn_q_a_norm", q_rank),
        matrix("attn_q_b", n_heads * (n_plain + n_turned), q_rank),
        matrix("attn_kv_a_mqa", rank + n_turned, n_embd),
        norm("attn_kv_a_norm", rank),
        matrices("attn_k_b", n_heads, rank, n_plain),
        matrices("attn_v_b", n_heads, n_value, rank),
        matrix("attn_output", n_embd, n_heads * n_value),
    ]
}

/// The parts of a feed-forward layer: gate, up and down, or a mixture of experts.
fn feed_forward(shape: &Shape, layer: usize) -> Vec<Part> {
    let &Shape { n_embd, n_ff, .. } = shape;
    let Some(Mixture { n_experts, n_ff, .. }) = shape.mixture.filter(|mixture| layer >= mixture.n_dense) else {
        return vec![
            matrix("ffn_gate", n_ff, n_embd),
            matrix("ffn_up", n_ff, n_embd),
            matrix("ffn_down", n_embd, n_ff),
        ];
    };
    let norm_behind = (shape.architecture == "axk1").then(|| norm("post_ffw_norm", n_embd));
    let parts = vec![
        matrix("ffn_gate_inp", n_experts, n_embd),
        vector("exp_probs_b.bias", n_experts),
        matrices("ffn_gate_exps", n_experts, n_ff, n_embd),
        matrices("ffn_up_exps", n_experts, n_ff, n_embd),
        matrices("ffn_down_exps", n_experts, n_embd, n_ff),
        matrix("ffn_gate_shexp", n_ff, n_embd),
        matrix("ffn_up_shexp", n_ff, n_embd),
        matrix("ffn_down_shexp", n_embd, n_ff),
    ];
    parts.into_iter().chain(norm_behind).collect()
}
