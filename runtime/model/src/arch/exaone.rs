//! EXAONE 3.0, 3.5 and Deep (LG AI Research 2024, 2025): llama with RoPE over the two halves, stretched by the factors in
//! the file.

use silhak_ops::{Pairing, PlanBuilder};

use super::decoder;
use crate::Error;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    decoder::write(p, hyper, keys, t, Pairing::Halves)
}
