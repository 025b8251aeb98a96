@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>; // [n_rows, n_groups], 32 nibbles
@group(0) @binding(2) var<storage, read> scales: array<vec4<u32>>; // [n_rows, n_groups / 8], see k_scale_min

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let scale_min = k_scale_min(scales[i / 8u], i % 8u);
    return Group(nibbles(quants[i]), vec2(scale_min.x), vec2(-scale_min.y));
}
