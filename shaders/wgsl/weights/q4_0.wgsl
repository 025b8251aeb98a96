@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>; // [n_rows, n_groups], 32 nibbles
@group(0) @binding(2) var<storage, read> scales: array<u32>;       // [n_rows, n_groups] half floats

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let d = half_at(scales[i / 2u], i);
    return Group(nibbles(quants[i]), vec2(d), vec2(-8.0 * d));
}
