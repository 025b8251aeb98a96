fn load_weights(row: u32, group: u32) -> Weights { return load_values(row, group); }
fn weight_values(weights: Weights) -> array<vec4<f32>, 8> { return weights; }
fn column_values(column: Column) -> array<vec4<f32>, 8> { return column; }
