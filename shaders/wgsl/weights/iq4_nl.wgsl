@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>; // [n_rows, n_groups], 32 nibbles
@group(0) @binding(2) var<storage, read> scales: array<u32>;       // [n_rows, n_groups] half floats

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    var q = nibbles(quants[i]);
    for (var w = 0u; w < 8u; w++) {
        q[w] = iq4_levels(q[w]);
    }
    return Group(q, vec2(half_at(scales[i / 2u], i)), vec2(0.0));
}
