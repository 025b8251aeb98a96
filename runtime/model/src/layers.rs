//! Which layers are local, seeing a sliding window only, and which are global.

use silhak_gguf::Value;

use crate::Error;
use crate::hyper::{HyperParams, Keys};

/// The sliding window of each layer: `None` for a global one, and for all where the model has no window.
///
/// `attention.sliding_window_pattern` is a flag per block or a period: every so many layers, the last is global. It is
/// `period` where the file does not say. Nothing follows from the number of layers, which differs between a model's files.
pub(crate) fn windows(keys: Keys<'_>, hyper: &HyperParams, period: usize) -> Result<Vec<Option<usize>>, Error> {
    let is_local = is_local(keys, hyper, period)?;
    Ok(is_local.into_iter().take(hyper.n_layers).map(|is_local| hyper.window.filter(|_| is_local)).collect())
}

fn is_local(keys: Keys<'_>, hyper: &HyperParams, period: usize) -> Result<Vec<bool>, Error> {
    const PATTERN: &str = "attention.sliding_window_pattern";
    let n_blocks = hyper.n_layers + hyper.n_nextn_layers;
    let key = keys.key(PATTERN);
    let period = match keys.metadata.get(&key) {
        Some(Value::Array(_)) => return Ok(keys.metadata.bool_per_layer(&key, n_blocks)?),
        Some(_) => keys.optional_size(PATTERN, n_blocks)?.unwrap_or(period),
        None => period,
    };
    Ok((1..=n_blocks).map(|n| !n.is_multiple_of(period)).collect())
}
