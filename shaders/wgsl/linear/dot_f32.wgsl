fn load_weights(row: u32, group: u32) -> Weights { return load_values(row, group); }

fn dot_group(weights: Weights, column: Column) -> f32 {
    var sum = vec4(0.0);
    for (var w = 0u; w < 8u; w++) {
        sum = fma(weights[w], column[w], sum);
    }
    return (sum.x + sum.y) + (sum.z + sum.w);
}
