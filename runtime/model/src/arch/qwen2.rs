//! Qwen2 and Qwen2.5 (Yang et al. 2024), and A.X 4.0: llama with biases on Q, K and V, and RoPE over the two halves.

use silhak_ops::{Pairing, PlanBuilder};

use super::decoder;
use crate::Error;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    decoder::write(p, hyper, keys, t, Pairing::Halves)
}
