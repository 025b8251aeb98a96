@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>; // [n_rows, n_groups], 32 nibbles
@group(0) @binding(2) var<storage, read> scales: array<vec4<u32>>; // [n_rows, n_groups / 8], see k_scale_min
@group(0) @binding(3) var<storage, read> high: array<u32>;         // [n_rows, n_groups], 32 fifth bits

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let scale_min = k_scale_min(scales[i / 8u], i % 8u);
    var q = nibbles(quants[i]);
    let fifth = high[i];
    for (var w = 0u; w < 8u; w++) {
        q[w] |= bits(fifth, w) << 4u;
    }
    return Group(q, vec2(scale_min.x), vec2(-scale_min.y));
}
