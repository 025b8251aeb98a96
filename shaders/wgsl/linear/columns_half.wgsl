// Activations as half floats, as `halve.wgsl` writes them.
@group(0) @binding(4) var<storage, read> x: array<vec4<f16>>; // [n, n_in / 4]

alias Column = array<vec4<f16>, 8>;
alias Weights = Group;

// The activations that meet a group of weights.
fn load_column(column: u32, group: u32) -> Column {
    let first = column * (params.n_in / 4u) + 8u * group;
    var values: Column;
    for (var w = 0u; w < 8u; w++) {
        values[w] = x[first + w];
    }
    return values;
}
