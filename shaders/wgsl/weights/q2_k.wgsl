@group(0) @binding(1) var<storage, read> quants: array<vec2<u32>>; // [n_rows, n_groups], 32 two-bit fields
// [n_rows, n_groups / 8, 5]: 16 bytes of scale (low half) and minimum (high half), then their scales as half floats.
@group(0) @binding(2) var<storage, read> scales: array<u32>;

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let block = 5u * (i / 8u);
    let j = 2u * (i % 8u);
    let word = scales[block + j / 4u];
    let both = vec2(byte_at(word, j), byte_at(word, j + 1u));
    let d_dmin = unpack2x16float(scales[block + 4u]);
    let fields = quants[i];
    var q: array<u32, 8>;
    for (var w = 0u; w < 8u; w++) {
        q[w] = pairs(fields, w);
    }
    return Group(q, d_dmin.x * vec2<f32>(both & vec2(15u)), -d_dmin.y * vec2<f32>(both >> vec2(4u)));
}
