// How values become 8 bits in blocks of 32: the rule is that of `silhak_quant::activations`.

// Infinity and every NaN are at least this, as bits of a magnitude.
const NOT_FINITE: u32 = 0x7f800000u;
const NAN: u32 = 0x7fc00000u;

// 127 divided by any magnitude up to this is infinite.
const TINY: f32 = 3.7323e-37;

struct BlockScale {
    scale: u32,   // as bits, because it may be NaN
    inverse: f32, // what values are multiplied with; 0 where all quants are 0
}

// The scale of a block whose largest magnitude has these bits.
fn block_scale(most: u32) -> BlockScale {
    if most >= NOT_FINITE {
        return BlockScale(NAN, 0.0);
    }
    let largest = bitcast<f32>(most);
    if largest <= TINY {
        return BlockScale(0u, 0.0);
    }
    return BlockScale(bitcast<u32>(largest / 127.0), 127.0 / largest);
}
