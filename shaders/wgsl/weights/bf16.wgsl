@group(0) @binding(1) var<storage, read> quants: array<vec2<u32>>; // [n_rows, n_groups, 8], four bfloat16 each

// A bfloat16 is the upper half of a float.
fn load_values(row: u32, group: u32) -> array<vec4<f32>, 8> {
    let first = 8u * (row * params.n_groups + group);
    var values: array<vec4<f32>, 8>;
    for (var w = 0u; w < 8u; w++) {
        let words = quants[first + w];
        let lower = bitcast<vec2<f32>>(words << vec2(16u));
        let upper = bitcast<vec2<f32>>(words & vec2(0xffff0000u));
        values[w] = vec4(lower.x, upper.x, lower.y, upper.y);
    }
    return values;
}
