// Activations to 8 bits in blocks of 32: the rule is that of `silhak_quant::activations`.

alias Block = array<vec4<f32>, 8>;

// Infinity and every NaN are at least this, as bits of a magnitude.
const NOT_FINITE: u32 = 0x7f800000u;
const NAN: u32 = 0x7fc00000u;

// 127 divided by any magnitude up to this is infinite.
const TINY: f32 = 3.7323e-37;

// Writes block `i` of the 8-bit activations.
fn store_quantized(i: u32, values: Block) {
    var most = vec4(0u);
    for (var w = 0u; w < 8u; w++) {
        most = max(most, bitcast<vec4<u32>>(values[w]) & vec4(0x7fffffffu));
    }
    let most_bits = max(max(most.x, most.y), max(most.z, most.w));
    if most_bits >= NOT_FINITE {
        store_block(i, array<u32, 8>(), NAN, vec2(0));
        return;
    }
    let largest = bitcast<f32>(most_bits);
    if largest <= TINY {
        store_block(i, array<u32, 8>(), 0u, vec2(0));
        return;
    }
    let inverse = 127.0 / largest;
    var quants: array<u32, 8>;
    var sums = vec2(0i);
    for (var w = 0u; w < 8u; w++) {
        let four = vec4<i32>(round(values[w] * inverse));
        quants[w] = pack4xI8(four);
        let sum = four.x + four.y + four.z + four.w;
        sums += select(vec2(0, sum), vec2(sum, 0), w < 4u);
    }
    store_block(i, quants, bitcast<u32>(largest / 127.0), sums);
}

fn store_block(i: u32, q: array<u32, 8>, d: u32, sums: vec2<i32>) {
    let both_sums = (bitcast<u32>(sums.x) & 0xffffu) | bitcast<u32>(sums.y << 16u);
    store_words(i, vec4(q[0], q[1], q[2], q[3]), vec4(q[4], q[5], q[6], q[7]), vec2(d, both_sums));
}
