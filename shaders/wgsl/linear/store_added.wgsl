@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [n, n_out]
@group(0) @binding(7) var<storage, read> residual: array<f32>; // [n, n_out]

fn store(output: u32, column: u32, value: f32) {
    let at = column * params.n_out + output;
    y[at] = value + residual[at];
}
