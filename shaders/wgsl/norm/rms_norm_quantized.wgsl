// x / sqrt(mean(x^2) + eps) * weight, in 8 bits. One workgroup per row; each thread reads BLOCKS blocks and their weights at
// once, and holds them until the sum is there.

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
    var held: array<Block, BLOCKS>;
    var weights: array<Block, BLOCKS>;
    var sums = array(0.0);
    for (var b = 0u; b < BLOCKS; b++) {
        let block = lane.index + b * THREADS;
        if block < params.n_blocks {
            for (var w = 0u; w < 8u; w++) {
                held[b][w] = x[8u * (first + block) + w];
                weights[b][w] = weight[8u * block + w];
            }
            for (var w = 0u; w < 8u; w++) {
                sums[0] += dot(held[b][w], held[b][w]);
            }
        }
    }
    add_lanes(lane, &sums);
    let scale = inverseSqrt(lanes_sum(0u) / f32(32u * params.n_blocks) + params.eps);
    for (var b = 0u; b < BLOCKS; b++) {
        let block = lane.index + b * THREADS;
        if block < params.n_blocks {
            for (var w = 0u; w < 8u; w++) {
                held[b][w] *= scale * weights[b][w];
            }
            store_quantized(first + block, held[b]);
        }
    }
}
