// The outputs are those of three weights, one after the other; their biases are zero where there are none.
@group(0) @binding(6) var<storage, read_write> y: array<f32>;   // [n, n_out]
@group(0) @binding(7) var<storage, read> bias: array<f32>;      // [n_out + n_out_2 + n_out_3]
@group(0) @binding(8) var<storage, read_write> y_2: array<f32>; // [n, n_out_2]
@group(0) @binding(9) var<storage, read_write> y_3: array<f32>; // [n, n_out_3]

fn store(output: u32, column: u32, value: f32) {
    let biased = value + bias[output];
    if output < params.n_out {
        y[column * params.n_out + output] = biased;
    } else if output < params.n_out + params.n_out_2 {
        y_2[column * params.n_out_2 + output - params.n_out] = biased;
    } else {
        y_3[column * params.n_out_3 + output - params.n_out - params.n_out_2] = biased;
    }
}
