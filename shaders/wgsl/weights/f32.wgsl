@group(0) @binding(1) var<storage, read> quants: array<vec4<f32>>; // [n_rows, n_groups, 8]

fn load_values(row: u32, group: u32) -> array<vec4<f32>, 8> {
    let first = 8u * (row * params.n_groups + group);
    var values: array<vec4<f32>, 8>;
    for (var w = 0u; w < 8u; w++) {
        values[w] = quants[first + w];
    }
    return values;
}
