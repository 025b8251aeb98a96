@group(0) @binding(4) var<storage, read> x: array<f32>; // [n, n_in]

alias Weights = array<vec4<f32>, 8>;

fn load_weights(row: u32, group: u32) -> Weights { return load_values(row, group); }
fn weight_values(weights: Weights) -> array<vec4<f32>, 8> { return weights; }

// Values 4i to 4i + 4 of a row of x; zeros after its end.
fn load_four(column: u32, i: u32) -> vec4<f16> {
    var four = vec4(0.0);
    for (var b = 0u; b < 4u; b++) {
        if 4u * i + b < params.n_in {
            four[b] = x[column * params.n_in + 4u * i + b];
        }
    }
    return vec4<f16>(four);
}
