//! Solar Pro Preview (Upstage 2024): llama grown in depth, whose later layers blend in what went into earlier ones
//! ("block skip connections").

use silhak_ops::{Pairing, PlanBuilder};

use super::decoder::Decoder;
use crate::Error;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    let decoder = Decoder::new(p, hyper, keys, t, Pairing::Adjacent)?;
    // For each layer, whether its input is kept in the first or second slot, and whether it is blended with that slot.
    let flags = |i: usize| {
        let key = keys.key(&format!("attention.block_skip_connection.{i}"));
        Ok::<_, Error>(keys.metadata.u32_per_layer(&key, hyper.n_layers)?)
    };
    let (keeps, blends) = ([flags(0)?, flags(1)?], [flags(2)?, flags(3)?]);
    let [of_kept, of_new] = t.constants("bskcn_tv")?;

    let mut kept = [None; 2];
    let mut h = decoder.embed()?;
    for i in 0..hyper.n_layers {
        for slot in 0..2 {
            if keeps[slot][i] != 0 {
                kept[slot] = Some(h);
            }
        }
        for slot in 0..2 {
            if blends[slot][i] != 0 {
                let kept = kept[slot].ok_or_else(|| nothing_kept(keys, slot, i))?;
                h = p.add(p.scale(kept, of_kept), p.scale(h, of_new));
            }
        }
        h = decoder.block(i, h)?;
    }
    decoder.output(h)
}

fn nothing_kept(keys: Keys<'_>, slot: usize, layer: usize) -> Error {
    Error::HyperParam {
        key: keys.key(&format!("attention.block_skip_connection.{}", slot + 2)),
        expected: "layers after one whose input is kept".into(),
        found: format!("layer {layer}"),
    }
}
