@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>; // [n_rows, n_groups, 2], 32 signed bytes
@group(0) @binding(2) var<storage, read> scales: array<u32>;       // [n_rows, n_groups] half floats

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let a = quants[2u * i];
    let b = quants[2u * i + 1u];
    return Group(array(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w), vec2(half_at(scales[i / 2u], i)), vec2(0.0));
}
