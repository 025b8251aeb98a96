fn load_weights(row: u32, group: u32) -> Weights { return load_group(row, group); }
fn weight_values(weights: Weights) -> array<vec4<f32>, 8> { return group_values(weights); }

// No value of the row of x is larger, but for NaN.
fn largest_of_column(column: u32) -> f32 {
    var most = 0.0;
    for (var group = 0u; group < params.n_groups; group++) {
        most = max(most, bitcast<f32>(x_scales[column * params.n_groups + group].x));
    }
    return 127.0 * most;
}

fn column_values(column: Column, factor: f32) -> array<vec4<f32>, 8> {
    let d = factor * column.d;
    var quants = column.quants;
    var values: array<vec4<f32>, 8>;
    for (var w = 0u; w < 8u; w++) {
        values[w] = d * vec4<f32>(unpack4xI8(quants[w]));
    }
    return values;
}
