// 8-bit activations to half floats, for cooperative matrices. One thread per block of 32 values.

struct Params {
    n_blocks: u32,   // blocks per row
    of_outputs: u32, // whether there is a row per output of the batch instead of one per token
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_quants: array<vec4<u32>>;     // [n, n_blocks, 2], 32 signed bytes
@group(0) @binding(2) var<storage, read> x_scales: array<vec2<u32>>;     // [n, n_blocks], scale, sums of both halves
@group(0) @binding(3) var<storage, read_write> halves: array<vec4<u32>>; // [n, n_blocks, 4], 32 half floats

@compute @workgroup_size(64)
fn halve(@builtin(global_invocation_id) id: vec3<u32>) {
    let block = id.x;
    let row = id.y;
    if block >= params.n_blocks || row >= n_rows(params.of_outputs) {
        return;
    }
    let i = row * params.n_blocks + block;
    let d = bitcast<f32>(x_scales[i].x);
    for (var half = 0u; half < 2u; half++) {
        let quants = x_quants[2u * i + half];
        halves[4u * i + 2u * half] = vec4(packed(d, quants.x), packed(d, quants.y));
        halves[4u * i + 2u * half + 1u] = vec4(packed(d, quants.z), packed(d, quants.w));
    }
}

// Four values as half floats.
fn packed(d: f32, quants: u32) -> vec2<u32> {
    let values = d * vec4<f32>(unpack4xI8(quants));
    return vec2(pack2x16float(values.xy), pack2x16float(values.zw));
}
