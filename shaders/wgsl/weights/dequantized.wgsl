// The 32 values of a group of quantized weights.
fn load_values(row: u32, group: u32) -> array<vec4<f32>, 8> {
    let g = load_group(row, group);
    var values: array<vec4<f32>, 8>;
    for (var w = 0u; w < 8u; w++) {
        let half = w / 4u;
        values[w] = vec4<f32>(unpack4xI8(g.quants[w])) * g.scale[half] + g.offset[half];
    }
    return values;
}
