// Scale and minimum j of 8 of Q4_K and Q5_K, as floats. `block` is (d, dmin) as half floats, then 12 bytes:
//   byte     bits 7..6                  bits 5..0
//   0..4     high bits of scale j + 4   scale j
//   4..8     high bits of min j + 4     min j
//   8..12    low 4 bits of scale j + 4 in the low half, of min j + 4 in the high half
fn k_scale_min(block: vec4<u32>, j: u32) -> vec2<f32> {
    let s = byte_at(block.y, j);
    let m = byte_at(block.z, j);
    let l = byte_at(block.w, j);
    let first = vec2(s & 63u, m & 63u);
    let last = vec2((l & 15u) | ((s >> 6u) << 4u), (l >> 4u) | ((m >> 6u) << 4u));
    return unpack2x16float(block.x) * vec2<f32>(select(last, first, j < 4u));
}
