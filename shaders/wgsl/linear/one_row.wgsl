// Each output is one row of the weight.

const ROWS_PER_OUTPUT: u32 = 1u;

fn row_of(output: u32, part: u32) -> u32 { return output; }
fn output_of(row: u32) -> u32 { return row; }
fn combine(a: f32, b: f32) -> f32 { return a; }
