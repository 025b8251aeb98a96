fn add_bias(row: u32, sum: f32) -> f32 { return sum; }
