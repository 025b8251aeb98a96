@group(0) @binding(7) var<storage, read> bias: array<f32>; // [n_out]

fn add_bias(row: u32, sum: f32) -> f32 { return sum + bias[row]; }
