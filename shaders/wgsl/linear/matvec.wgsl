// A workgroup multiplies ROWS rows of the weight with COLUMNS rows of x: each thread takes every THREADS-th group of 32
// values, and the threads' sums are added at the end. Activations are read once for all rows.

const N_SUMS: u32 = ROWS * COLUMNS;
const OUTPUTS: u32 = ROWS / ROWS_PER_OUTPUT;

@compute @workgroup_size(THREADS)
fn matvec(lane: Lane, @builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
    let first = (workgroup.y * grid.x + workgroup.x) * OUTPUTS;
    let n = n_rows(params.of_outputs);
    var sums: array<f32, N_SUMS>;
    for (var group = lane.index; group < params.n_groups; group += THREADS) {
        var columns: array<Column, COLUMNS>;
        for (var c = 0u; c < COLUMNS; c++) {
            columns[c] = load_column(min(c, n - 1u), group);
        }
        for (var r = 0u; r < ROWS; r++) {
            let output = min(first + r % OUTPUTS, params.n_rows - 1u);
            let weights = load_weights(row_of(output, r / OUTPUTS), group);
            for (var c = 0u; c < COLUMNS; c++) {
                sums[r * COLUMNS + c] += dot_group(weights, columns[c]);
            }
        }
    }
    add_lanes(lane, &sums);
    let output = first + lane.index / COLUMNS;
    let column = lane.index % COLUMNS;
    if lane.index < OUTPUTS * COLUMNS && output < params.n_rows && column < n {
        let value = combine(lanes_sum(lane.index), lanes_sum(lane.index + (ROWS_PER_OUTPUT - 1u) * OUTPUTS * COLUMNS));
        store(params.first_row + output, column, value);
    }
}
