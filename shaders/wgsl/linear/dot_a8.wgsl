fn load_weights(row: u32, group: u32) -> Weights { return load_group(row, group); }

// The products of the quants, summed exactly over each half of a group.
fn integer_sums(weights: Weights, column: Column) -> vec2<i32> {
    var sums = vec2(0i);
    for (var w = 0u; w < 4u; w++) {
        sums.x += dot4I8Packed(weights.quants[w], column.quants[w]);
        sums.y += dot4I8Packed(weights.quants[w + 4u], column.quants[w + 4u]);
    }
    return sums;
}

fn dot_group(weights: Weights, column: Column) -> f32 {
    let sums = vec2<f32>(integer_sums(weights, column));
    return dot(weights.scale, sums) * column.d + dot(weights.offset, column.sums);
}
