// y = the matrices of the experts that each token chose, or of its heads, times x: for a chunk of the weight's rows. A
// workgroup multiplies ROWS rows of one matrix with one row of x: each thread takes every THREADS-th group of 32 values, and
// the threads' sums are added at the end.

struct Params {
    n_rows: u32,     // rows of the chunk
    n_groups: u32,   // groups of 32 values per row
    n_in: u32,       // values per row
    first_row: u32,  // of the chunk, in the whole weight
    n_out: u32,      // rows of one matrix
    of_outputs: u32, // whether there is a token per output of the batch
    n_used: u32,     // experts of a token, or heads
    is_shared: u32,  // whether the experts of a token take one row of x instead of a row each
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [n, n_used, n_out]

const N_SUMS: u32 = ROWS;

@compute @workgroup_size(THREADS)
fn expert_linear(lane: Lane, @builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
    let n_parts = n_rows(params.of_outputs) * params.n_used;
    let asked = workgroup.z * grid.y + workgroup.y;
    let part = min(asked, n_parts - 1u);
    let token = part / params.n_used;
    let expert = expert_of(token, part % params.n_used);
    let column = select(part, token, params.is_shared != 0u);

    let first = workgroup.x * ROWS;
    let at = expert * params.n_out - params.first_row; // a row before the chunk wraps, and is beyond it
    let is_here = at + first < params.n_rows || at + first + ROWS - 1u < params.n_rows;
    var sums: array<f32, N_SUMS>;
    for (var group = lane.index; group < select(0u, params.n_groups, is_here); group += THREADS) {
        let values = load_column(column, group);
        for (var r = 0u; r < ROWS; r++) {
            let row = at + min(first + r, params.n_out - 1u);
            sums[r] += dot_group(load_weights(min(row, params.n_rows - 1u), group), values);
        }
    }
    add_lanes(lane, &sums);
    let output = first + lane.index;
    if lane.index < ROWS && output < params.n_out && at + output < params.n_rows && asked < n_parts {
        y[part * params.n_out + output] = lanes_sum(lane.index);
    }
}
