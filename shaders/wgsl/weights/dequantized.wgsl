// The 32 values of a group of quantized weights.
fn load_values(row: u32, group: u32) -> array<vec4<f32>, 8> { return group_values(load_group(row, group)); }

fn group_values(group: Group) -> array<vec4<f32>, 8> {
    var quants = group.quants;
    var values: array<vec4<f32>, 8>;
    for (var w = 0u; w < 8u; w++) {
        let half = w / 4u;
        values[w] = vec4<f32>(unpack4xI8(quants[w])) * group.scale[half] + group.offset[half];
    }
    return values;
}
