@group(0) @binding(4) var<storage, read> x: array<f32>; // [n, n_in]

alias Column = array<vec4<f32>, 8>;
alias Weights = array<vec4<f32>, 8>;

// The activations that meet a group of weights; the last group of a row may be short, and ends in zeros.
fn load_column(column: u32, group: u32) -> Column {
    let end = (column + 1u) * params.n_in;
    var at = column * params.n_in + 32u * group;
    var values: Column;
    for (var w = 0u; w < 8u; w++) {
        var four = vec4(0.0);
        for (var b = 0u; b < 4u; b++) {
            if at < end {
                four[b] = x[at];
            }
            at++;
        }
        values[w] = four;
    }
    return values;
}
