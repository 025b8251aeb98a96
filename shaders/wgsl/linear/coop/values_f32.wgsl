fn load_weights(row: u32, group: u32) -> Weights { return load_values(row, group); }
fn weight_values(weights: Weights) -> array<vec4<f32>, 8> { return weights; }

// The largest magnitude in a row of x, but for NaN.
fn largest_of_column(column: u32) -> f32 {
    var most = vec4(0.0);
    for (var group = 0u; group < params.n_groups; group++) {
        var values = load_column(column, group);
        for (var w = 0u; w < 8u; w++) {
            most = max(most, abs(values[w]));
        }
    }
    return max(max(most.x, most.y), max(most.z, most.w));
}

fn column_values(column: Column, factor: f32) -> array<vec4<f32>, 8> {
    var values = column;
    for (var w = 0u; w < 8u; w++) {
        values[w] *= factor;
    }
    return values;
}
