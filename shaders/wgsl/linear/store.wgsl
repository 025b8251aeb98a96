@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [n, n_out]

fn store(output: u32, column: u32, value: f32) {
    y[column * params.n_out + output] = value;
}
