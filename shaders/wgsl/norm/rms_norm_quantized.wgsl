// x / sqrt(mean(x^2) + eps) * weight, in 8 bits. One workgroup per row.

struct Params {
    n_blocks: u32, // blocks of 32 per row
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;              // [n, n_blocks, 8]
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;         // [n_blocks, 8]
@group(0) @binding(3) var<storage, read_write> x_quants: array<vec4<u32>>; // [n, n_blocks, 2], 32 signed bytes
@group(0) @binding(4) var<storage, read_write> x_scales: array<vec2<u32>>; // [n, n_blocks], scale, sums of both halves

const N_SUMS: u32 = 1u;

@compute @workgroup_size(THREADS)
fn rms_norm_quantized(lane: Lane, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let first = workgroup.y * params.n_blocks;
    var sums = array(0.0);
    for (var i = lane.index; i < 8u * params.n_blocks; i += THREADS) {
        sums[0] += dot(x[8u * first + i], x[8u * first + i]);
    }
    add_lanes(lane, &sums);
    let scale = inverseSqrt(lanes_sum(0u) / f32(32u * params.n_blocks) + params.eps);
    for (var block = lane.index; block < params.n_blocks; block += THREADS) {
        var values: Block;
        for (var w = 0u; w < 8u; w++) {
            values[w] = x[8u * (first + block) + w] * scale * weight[8u * block + w];
        }
        store_quantized(first + block, values);
    }
}
