// 8-bit activations, as `quantize.wgsl` writes them.
@group(0) @binding(4) var<storage, read> x_quants: array<vec4<u32>>; // [n, n_in / 32, 2], 32 signed bytes
@group(0) @binding(5) var<storage, read> x_scales: array<vec2<u32>>; // [n, n_in / 32], scale, sums of both halves

struct Column {
    quants: array<u32, 8>,
    d: f32,          // an activation is d times its quant
    sums: vec2<f32>, // of the activations 0..16 and 16..32
}

alias Weights = Group;

fn load_column(column: u32, group: u32) -> Column {
    let i = column * (params.n_in / 32u) + group;
    let a = x_quants[2u * i];
    let b = x_quants[2u * i + 1u];
    let d = bitcast<f32>(x_scales[i].x);
    let sums = bitcast<i32>(x_scales[i].y);
    return Column(
        array(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w),
        d,
        d * vec2(f32((sums << 16u) >> 16u), f32(sums >> 16u)),
    );
}
