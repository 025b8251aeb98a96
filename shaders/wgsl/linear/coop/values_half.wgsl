// Activations as half floats, as `halve.wgsl` writes them.
@group(0) @binding(4) var<storage, read> x: array<vec4<f16>>; // [n, n_in / 4]

alias Weights = Group;

fn load_weights(row: u32, group: u32) -> Weights { return load_group(row, group); }
fn weight_values(weights: Weights) -> array<vec4<f32>, 8> { return group_values(weights); }

// Values 4i to 4i + 4 of a row of x.
fn load_four(column: u32, i: u32) -> vec4<f16> { return x[column * (params.n_in / 4u) + i]; }
