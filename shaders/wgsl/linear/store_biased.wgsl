@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [n, n_out]
@group(0) @binding(7) var<storage, read> bias: array<f32>;    // [n_out]

fn store(output: u32, column: u32, value: f32) {
    y[column * params.n_out + output] = value + bias[output];
}
