//! The tensors of each architecture: names, shapes, formats.

use silhak_quant::{Format, Mix};

use crate::Shape;

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
}

impl Tensor {
    /// All tensors of a model, in the order of the file.
    pub(crate) fn list(shape: &Shape, mix: Mix) -> Vec<Tensor> {
        let mut parts = vec![matrix("token_embd", shape.n_vocab, shape.n_embd)];
        parts.extend(shape.rope_factors.then(|| vector("rope_freqs.weight", shape.head_dim / 2)));
        parts.extend(shape.skips.map(|_| vector("bskcn_tv.weight", 2)));
        for layer in 0..shape.n_layers {
            parts.extend(
                block(shape).into_iter().map(|part| Part { name: format!("blk.{layer}.{}", part.name), ..part }),
            );
        }
        parts.push(vector("output_norm.weight", shape.n_embd));
        parts.extend((!shape.tied).then(|| matrix("output", shape.n_vocab, shape.n_embd)));
        let outline = shape.outline();
        let tensor = |Part { name, rows, cols }| {
            // What goes into a vector is not worth a loss.
            let format = if rows == 1 { Format::F32 } else { mix.format(&name, cols, &outline) };
            Tensor { name, format, rows, cols }
        };
        parts.into_iter().map(tensor).collect()
    }
}

/// A tensor before its format is chosen.
struct Part {
    name: String,
    rows: usize,
    cols: usize,
}

fn matrix(name: &str, rows: usize, cols: usize) -> Part {
    Part { name: format!("{name}.weight"), rows, cols }
}

fn vector(name: &str, len: usize) -> Part {
    Part { name: name.to_owned(), rows: 1, cols: len }
}

fn norm(name: &str, len: usize) -> Part {
    vector(&format!("{name}.weight"), len)
}

/// The parts of one transformer block.
fn block(shape: &Shape) -> Vec<Part> {
    let &Shape { n_embd, n_heads, n_kv_heads, head_dim, n_ff, .. } = shape;
    let (q, kv) = (n_heads * head_dim, n_kv_heads * head_dim);
    let mut parts = vec![
        matrix("attn_q", q, n_embd),
        matrix("attn_k", kv, n_embd),
        matrix("attn_v", kv, n_embd),
        matrix("attn_output", n_embd, q),
        matrix("ffn_gate", n_ff, n_embd),
        matrix("ffn_up", n_ff, n_embd),
        matrix("ffn_down", n_embd, n_ff),
    ];
    let norms_before = ["attn_norm", "ffn_norm"].map(|name| norm(name, n_embd));
    let norms_behind = ["post_attention_norm", "post_ffw_norm"].map(|name| norm(name, n_embd));
    let norms_of_heads = ["attn_q_norm", "attn_k_norm"].map(|name| norm(name, head_dim));
    match shape.architecture {
        "qwen2" => {
            parts.extend(norms_before);
            parts.extend([vector("attn_q.bias", q), vector("attn_k.bias", kv), vector("attn_v.bias", kv)]);
        }
        "exaone4" => parts.extend(norms_behind.into_iter().chain(norms_of_heads)),
        "gemma3" => parts.extend(norms_before.into_iter().chain(norms_behind).chain(norms_of_heads)),
        "hyperclovax" | "hcx-seed-think" => parts.extend(norms_before.into_iter().chain(norms_behind)),
        _ => parts.extend(norms_before),
    }
    parts
}
