//! Llama (Touvron et al. 2023) and what is shaped like it: SmolLM, SOLAR 10.7B, A.X 3.1, HyperCLOVA X SEED text.
//!
//! Q and K rows are permuted in the file, so RoPE turns adjacent pairs.

use silhak_ops::{Pairing, PlanBuilder};

use super::decoder;
use crate::Error;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    decoder::write(p, hyper, keys, t, Pairing::Adjacent)
}
