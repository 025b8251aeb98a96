@group(0) @binding(1) var<storage, read> quants: array<vec2<u32>>; // [n_rows, n_groups], 32 two-bit fields
// [n_rows, n_groups / 8]: 16 six-bit scales in the 12 bytes of the file, then their scale as a half float.
@group(0) @binding(2) var<storage, read> scales: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> high: array<u32>;         // [n_rows, n_groups], 32 third bits

// Scale j of 16. Low 4 bits: byte j % 8, low half for j < 8. Upper 2 bits: byte 8 + j % 4, bits 2 (j / 4)..
fn q3_k_scale(block: vec4<u32>, j: u32) -> f32 {
    let low = byte_at(select(block.x, block.y, (j & 4u) != 0u), j) >> (4u * (j / 8u));
    let upper = byte_at(block.z, j) >> (2u * (j / 4u));
    return f32(i32((low & 15u) | ((upper & 3u) << 4u)) - 32);
}

fn load_group(row: u32, group: u32) -> Group {
    let i = row * params.n_groups + group;
    let block = scales[i / 8u];
    let j = 2u * (i % 8u);
    let d = unpack2x16float(block.w).x;
    let fields = quants[i];
    let third = high[i];
    var q: array<u32, 8>;
    for (var w = 0u; w < 8u; w++) {
        q[w] = pairs(fields, w) | (bits(third, w) << 2u);
    }
    let scale = d * vec2(q3_k_scale(block, j), q3_k_scale(block, j + 1u));
    return Group(q, scale, -4.0 * scale);
}
