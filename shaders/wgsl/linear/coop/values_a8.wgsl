fn load_weights(row: u32, group: u32) -> Weights { return load_group(row, group); }
fn weight_values(weights: Weights) -> array<vec4<f32>, 8> { return group_values(weights); }

fn column_values(column: Column) -> array<vec4<f32>, 8> {
    var quants = column.quants;
    var values: array<vec4<f32>, 8>;
    for (var w = 0u; w < 8u; w++) {
        values[w] = column.d * vec4<f32>(unpack4xI8(quants[w]));
    }
    return values;
}
