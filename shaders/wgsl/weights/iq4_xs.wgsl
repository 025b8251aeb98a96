@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>; // [n_rows, n_groups], 32 nibbles
// [n_rows, n_groups / 8]: a half float, the upper 2 bits of 8 scales; then their low 4 bits.
@group(0) @binding(2) var<storage, read> scales: array<vec2<u32>>;

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let block = scales[i / 8u];
    let j = i % 8u;
    let low = (block.y >> (4u * j)) & 15u;
    let upper = (block.x >> (16u + 2u * j)) & 3u;
    let d = unpack2x16float(block.x).x * f32(i32(low | (upper << 4u)) - 32);
    var q = nibbles(quants[i]);
    for (var w = 0u; w < 8u; w++) {
        q[w] = iq4_levels(q[w]);
    }
    return Group(q, vec2(d), vec2(0.0));
}
