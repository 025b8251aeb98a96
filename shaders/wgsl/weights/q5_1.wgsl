@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>; // [n_rows, n_groups], 32 nibbles
@group(0) @binding(2) var<storage, read> scales: array<u32>;       // [n_rows, n_groups], scale and offset as half floats
@group(0) @binding(3) var<storage, read> high: array<u32>;         // [n_rows, n_groups], 32 fifth bits

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let d_m = unpack2x16float(scales[i]);
    var q = nibbles(quants[i]);
    let fifth = high[i];
    for (var w = 0u; w < 8u; w++) {
        q[w] |= bits(fifth, w) << 4u;
    }
    return Group(q, vec2(d_m.x), vec2(d_m.y));
}
