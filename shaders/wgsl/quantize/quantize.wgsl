// Activations to 8 bits. One thread per block of 32.

struct Params {
    n_blocks: u32, // per row
    of_outputs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;              // [n, n_blocks, 8]
@group(0) @binding(2) var<storage, read_write> x_quants: array<vec4<u32>>; // [n, n_blocks, 2], 32 signed bytes
@group(0) @binding(3) var<storage, read_write> x_scales: array<vec2<u32>>; // [n, n_blocks], scale, sums of both halves

@compute @workgroup_size(64)
fn quantize(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.n_blocks || id.y >= n_rows(params.of_outputs) {
        return;
    }
    let i = id.y * params.n_blocks + id.x;
    var values: Block;
    for (var w = 0u; w < 8u; w++) {
        values[w] = x[8u * i + w];
    }
    store_quantized(i, values);
}
