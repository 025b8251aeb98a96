//! Solar Pro Preview, whose class is the maker's own.

use silhak_gguf::{Array, Value};

use super::{Extras, Family, ROPE_THETA, llama};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

pub(super) const FAMILY: Family = Family {
    classes: &["SolarForCausalLM"],
    architecture: "solar",
    names: &llama::NAMES,
    permuted: true,
    norms_from_zero: false,
    rope_base: ROPE_THETA,
    extras,
};

/// The layers of each block skip connection as a flag per layer, and the weights of what is blended.
fn extras(config: &Config, sizes: &Sizes) -> Result<Extras, Error> {
    let flags = |name| {
        let layers = config.sizes(name)?;
        Ok::<_, Error>(Value::Array(Array::U32((0..sizes.n_layers).map(|i| u32::from(layers.contains(&i))).collect())))
    };
    let metadata = vec![
        ("attention.block_skip_connection.0", flags("bskcn_1")?),
        ("attention.block_skip_connection.1", flags("bskcn_2")?),
        ("attention.block_skip_connection.2", flags("bskcn_3")?),
        ("attention.block_skip_connection.3", flags("bskcn_4")?),
    ];
    // The first is for training, the second for use.
    let weights = config.get("bskcn_tv").and_then(|pair| pair.get(1)?.as_f64());
    let kept = weights.ok_or_else(|| config.wrong("bskcn_tv", "two numbers"))?;
    Ok(Extras { metadata, vectors: vec![("bskcn_tv", vec![kept as f32, (1.0 - kept) as f32])] })
}
