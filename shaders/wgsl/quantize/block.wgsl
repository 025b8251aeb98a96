// A block of 32 activations to 8 bits.

alias Block = array<vec4<f32>, 8>;

// Writes block `i` of the 8-bit activations.
fn store_quantized(i: u32, values: Block) {
    var most = vec4(0u);
    for (var w = 0u; w < 8u; w++) {
        most = max(most, bitcast<vec4<u32>>(values[w]) & vec4(0x7fffffffu));
    }
    let scale = block_scale(max(max(most.x, most.y), max(most.z, most.w)));
    if scale.inverse == 0.0 {
        store_block(i, array<u32, 8>(), scale.scale, vec2(0));
        return;
    }
    var quants: array<u32, 8>;
    var sums = vec2(0i);
    for (var w = 0u; w < 8u; w++) {
        let four = vec4<i32>(round(values[w] * scale.inverse));
        quants[w] = pack4xI8(four);
        let sum = four.x + four.y + four.z + four.w;
        sums += select(vec2(0, sum), vec2(sum, 0), w < 4u);
    }
    store_block(i, quants, scale.scale, sums);
}

fn store_block(i: u32, q: array<u32, 8>, d: u32, sums: vec2<i32>) {
    let both_sums = (bitcast<u32>(sums.x) & 0xffffu) | bitcast<u32>(sums.y << 16u);
    store_words(i, vec4(q[0], q[1], q[2], q[3]), vec4(q[4], q[5], q[6], q[7]), vec2(d, both_sums));
}
