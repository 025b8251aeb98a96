@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>; // [n_rows, n_groups], 32 nibbles
// [n_rows, n_groups / 8, 5]: 16 signed bytes of scale, then their scale as a half float.
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> high: array<vec2<u32>>;   // [n_rows, n_groups], 32 two-bit fields

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let block = 5u * (i / 8u);
    let j = 2u * (i % 8u);
    let both = unpack4xI8(scales[block + j / 4u]);
    let scale = unpack2x16float(scales[block + 4u]).x * vec2<f32>(select(both.xy, both.zw, (j & 2u) != 0u));
    var q = nibbles(quants[i]);
    let fields = high[i];
    for (var w = 0u; w < 8u; w++) {
        q[w] |= pairs(fields, w) << 4u;
    }
    return Group(q, scale, -32.0 * scale);
}
