@group(0) @binding(1) var<storage, read> quants: array<vec2<u32>>; // [n_rows, n_groups, 8], four half floats each

fn load_values(row: u32, group: u32) -> array<vec4<f32>, 8> {
    let first = 8u * (row * params.n_groups + group);
    var values: array<vec4<f32>, 8>;
    for (var w = 0u; w < 8u; w++) {
        let words = quants[first + w];
        values[w] = vec4(unpack2x16float(words.x), unpack2x16float(words.y));
    }
    return values;
}
