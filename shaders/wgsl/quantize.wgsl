// Activations to 8 bits in blocks of 32: the rule is that of `silhak_quant::activations`. One thread per block.

struct Params {
    n_blocks: u32,   // per row
    of_outputs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;               // [n, n_blocks, 8]
@group(0) @binding(2) var<storage, read_write> x_quants: array<vec4<u32>>; // [n, n_blocks, 2], 32 signed bytes
@group(0) @binding(3) var<storage, read_write> x_scales: array<vec2<u32>>; // [n, n_blocks], scale, sums of both halves

// Infinity and every NaN are at least this, as bits of a magnitude.
const NOT_FINITE: u32 = 0x7f800000u;
const NAN: u32 = 0x7fc00000u;

@compute @workgroup_size(64)
fn quantize(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.n_blocks || id.y >= n_rows(params.of_outputs) {
        return;
    }
    let i = id.y * params.n_blocks + id.x;
    var values: array<vec4<f32>, 8>;
    var most = vec4(0u);
    for (var w = 0u; w < 8u; w++) {
        values[w] = x[8u * i + w];
        most = max(most, bitcast<vec4<u32>>(values[w]) & vec4(0x7fffffffu));
    }
    let most_bits = max(max(most.x, most.y), max(most.z, most.w));
    if most_bits >= NOT_FINITE {
        store(i, array<u32, 8>(), NAN, 0u);
        return;
    }
    let largest = bitcast<f32>(most_bits);
    // The smallest magnitude whose reciprocal times 127 is still finite.
    if largest <= 3.7323e-37 {
        store(i, array<u32, 8>(), 0u, 0u);
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
    store(i, quants, bitcast<u32>(largest / 127.0), (bitcast<u32>(sums.x) & 0xffffu) | bitcast<u32>(sums.y << 16u));
}

fn store(i: u32, q: array<u32, 8>, d: u32, sums: u32) {
    x_quants[2u * i] = vec4(q[0], q[1], q[2], q[3]);
    x_quants[2u * i + 1u] = vec4(q[4], q[5], q[6], q[7]);
    x_scales[i] = vec2(d, sums);
}
