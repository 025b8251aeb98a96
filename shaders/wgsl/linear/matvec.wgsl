// A workgroup multiplies ROWS rows of the weight with COLUMNS rows of x: each thread takes every THREADS-th group of 32
// values, and the threads' sums are added at the end. Activations are read once for all rows.

@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [n, n_out]

const N_SUMS: u32 = ROWS * COLUMNS;

@compute @workgroup_size(THREADS)
fn matvec(lane: Lane, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let first = (workgroup.y * params.grid_width + workgroup.x) * ROWS;
    let n = n_rows(params.of_outputs);
    var sums: array<f32, N_SUMS>;
    for (var group = lane.index; group < params.n_groups; group += THREADS) {
        var columns: array<Column, COLUMNS>;
        for (var c = 0u; c < COLUMNS; c++) {
            columns[c] = load_column(min(c, n - 1u), group);
        }
        for (var r = 0u; r < ROWS; r++) {
            let weights = load_weights(min(first + r, params.n_rows - 1u), group);
            for (var c = 0u; c < COLUMNS; c++) {
                sums[r * COLUMNS + c] += dot_group(weights, columns[c]);
            }
        }
    }
    add_lanes(lane, &sums);
    let row = first + lane.index / COLUMNS;
    let column = lane.index % COLUMNS;
    if lane.index < N_SUMS && row < params.n_rows && column < n {
        let at = params.first_row + row;
        y[column * params.n_out + at] = add_bias(at, lanes_sum(lane.index));
    }
}
