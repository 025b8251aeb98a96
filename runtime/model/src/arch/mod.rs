//! One file per architecture: its forward pass, in the order of the maths.

mod axk1;
mod decoder;
mod exaone;
mod exaone4;
mod exaone_moe;
mod experts;
mod gemma3;
mod glm4moe;
mod hyperclovax;
mod latent;
mod llama;
mod qwen2;
mod solar;
mod vaetki;

use silhak_ops::{Activation, PlanBuilder, ValueId, WeightId};

use crate::Error;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;

/// Writes an architecture's forward pass.
type Write = fn(&PlanBuilder, &HyperParams, Keys<'_>, &Tensors<'_>) -> Result<(), Error>;

/// `general.architecture` and who writes its plan.
const ARCHITECTURES: &[(&str, Write)] = &[
    ("axk1", axk1::write),
    ("exaone", exaone::write),
    ("exaone4", exaone4::write),
    ("exaone-moe", exaone_moe::write),
    ("gemma3", gemma3::write),
    ("glm4moe", glm4moe::write),
    // NAVER's own files have the second name.
    ("hyperclovax", hyperclovax::write),
    ("hcx-seed-think", hyperclovax::write),
    ("llama", llama::write),
    ("qwen2", qwen2::write),
    ("solar", solar::write),
    ("vaetki", vaetki::write),
];

/// The names of all architectures that can be run.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|(name, _)| *name)
}

pub(crate) fn find(name: &str) -> Option<Write> {
    ARCHITECTURES.iter().find(|(n, _)| *n == name).map(|(_, write)| *write)
}

/// `x @ weight^T`, plus the bias where the file has one.
fn linear(
    p: &PlanBuilder,
    t: &Tensors<'_>,
    x: ValueId,
    name: &str,
    n_out: usize,
    n_in: usize,
) -> Result<ValueId, Error> {
    Ok(p.linear_with(x, t.matrix(name, n_out, n_in)?, t.bias(name, n_out)?))
}

/// The gated feed-forward layer of block `i`, of matrices with these names: gate, up and down.
fn gated(
    p: &PlanBuilder,
    t: &Tensors<'_>,
    x: ValueId,
    i: usize,
    names: [&str; 3],
    n_embd: usize,
    n_ff: usize,
) -> Result<ValueId, Error> {
    let [gate, up, down] = names.map(|part| format!("blk.{i}.{part}"));
    let (gate, up) = (linear(p, t, x, &gate, n_ff, n_embd)?, linear(p, t, x, &up, n_ff, n_embd)?);
    linear(p, t, p.gate(gate, up, Activation::Silu), &down, n_embd, n_ff)
}

/// The output matrix, which is the embedding where the file has none of its own ("tied").
fn output_matrix(t: &Tensors<'_>, hyper: &HyperParams) -> Result<WeightId, Error> {
    let name = if t.has("output.weight") { "output" } else { "token_embd" };
    t.matrix(name, hyper.n_vocab, hyper.n_embd)
}

/// Refuses mixtures of experts, which share these architectures' names.
fn refuse_experts(keys: Keys<'_>) -> Result<(), Error> {
    match keys.optional_size("expert_count", usize::MAX)? {
        None => Ok(()),
        Some(n) => Err(Error::UnsupportedVariant {
            architecture: keys.architecture.into(),
            what: format!("a mixture of {n} experts"),
            hint: "use a dense model",
        }),
    }
}
