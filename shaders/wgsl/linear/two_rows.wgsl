// Each output is activation(gate) * up. The rows of both matrices alternate in runs of 16, so that the two rows of an
// output are 16 apart.

const ROWS_PER_OUTPUT: u32 = 2u;

fn row_of(output: u32, part: u32) -> u32 { return output / 16u * 32u + 16u * part + output % 16u; }
fn output_of(row: u32) -> u32 { return row / 32u * 16u + row % 16u; }
fn combine(gate: f32, up: f32) -> f32 { return activation(gate) * up; }
