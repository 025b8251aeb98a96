//! What each maker's model class is called in GGUF: architecture, tensors, hyper-parameters.

mod axk1;
mod exaone;
mod exaone4;
mod exaone_moe;
mod experts;
mod hyperclovax;
mod latent;
mod llama;
mod solar;
mod solar_open;
mod vaetki;

use silhak_gguf::Value;

use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

/// A model class.
pub(crate) struct Family {
    /// Its names under `architectures` in `config.json`.
    pub(crate) classes: &'static [&'static str],
    /// `general.architecture`.
    pub(crate) architecture: &'static str,
    pub(crate) names: &'static Names,
    /// RoPE turns adjacent pairs in GGUF, and so the rows of Q and K are in another order than the maker's.
    pub(crate) permuted: bool,
    /// The maker's norms multiply with one more than their weight.
    pub(crate) norms_from_zero: bool,
    /// Where `config.json` has RoPE's base, and what it is if it does not.
    pub(crate) rope_base: (&'static str, f64),
    /// Metadata beyond what every decoder has, and numbers that become tensors.
    pub(crate) extras: fn(&Config, &Sizes) -> Result<Extras, Error>,
}

/// Names of tensors, GGUF's first, then the maker's.
pub(crate) struct Names {
    pub(crate) model: &'static [Name],
    /// Before the number of a block.
    pub(crate) block_prefix: &'static str,
    /// Those of a block, in lists that follow each other.
    pub(crate) block: &'static [&'static [Name]],
}

/// A tensor's two names, without `.weight` or `.bias`.
pub(crate) struct Name {
    pub(crate) gguf: &'static str,
    pub(crate) maker: &'static str,
    pub(crate) form: Form,
    pub(crate) place: Place,
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A weight, and maybe its bias.
    Weight,
    /// A bias without a weight; the maker's name is whole.
    Bias,
    /// The weights of all experts, which have a tensor each: the `*` in the maker's name stands for their numbers.
    Experts,
    /// What takes each head's queries to the latent's space, out of the maker's matrix of keys and values.
    LatentKeys,
    /// What takes each head's results from there, out of the same.
    LatentValues,
}

/// In which models, and in which of their blocks, a tensor is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Everywhere,
    /// Not in every model of the class.
    SomeModels,
    /// In blocks without experts.
    Dense,
    /// In blocks with experts.
    Sparse,
}

/// Where almost all have it.
const ROPE_THETA: (&str, f64) = ("rope_theta", 10_000.0);

const fn name(gguf: &'static str, maker: &'static str) -> Name {
    Name { gguf, maker, form: Form::Weight, place: Place::Everywhere }
}

const fn optional(gguf: &'static str, maker: &'static str) -> Name {
    Name { place: Place::SomeModels, ..name(gguf, maker) }
}

/// What only some classes have.
#[derive(Default)]
pub(crate) struct Extras {
    /// Keys without the architecture's prefix.
    pub(crate) metadata: Vec<(&'static str, Value)>,
    /// Vectors of float32.
    pub(crate) vectors: Vec<(&'static str, Vec<f32>)>,
}

fn nothing(_: &Config, _: &Sizes) -> Result<Extras, Error> {
    Ok(Extras::default())
}

/// Tensors without weight in the forward pass: tables that are computed anew, heads that predict several tokens, and
/// whatever sees or hears.
pub(crate) fn may_be_left_out(name: &str) -> bool {
    const BEGINNINGS: &[&str] =
        &["mtp.", "model.mtp.", "visual.", "model.visual.", "vision_model.", "model.vision_model.", "mm_projector."];
    const ENDS: &[&str] = &[
        ".rotary_emb.inv_freq",
        ".attention.masked_bias",
        ".attention.rotary.inv_freq",
        // A.X K1's blocks without experts have it and do not use it.
        ".post_mlp_layernorm.weight",
    ];
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) || ENDS.iter().any(|end| name.ends_with(end))
}

/// The family of a model's class.
pub(crate) fn find(class: &str) -> Result<&'static Family, Error> {
    ALL.iter().copied().find(|family| family.classes.contains(&class)).ok_or_else(|| {
        let known: Vec<_> = ALL.iter().flat_map(|family| family.classes).copied().collect();
        Error::UnknownClass { found: class.into(), known: known.join(", ") }
    })
}

const ALL: &[&Family] = &[
    &axk1::FAMILY,
    &exaone::FAMILY,
    &exaone4::FAMILY,
    &exaone_moe::FAMILY,
    &hyperclovax::FAMILY,
    &llama::FAMILY,
    &llama::QWEN2,
    &solar::FAMILY,
    &solar_open::FAMILY,
    &vaetki::FAMILY,
];
