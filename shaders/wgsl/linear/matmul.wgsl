// A workgroup multiplies a tile of TILE_ROWS rows of the weight with TILE_COLUMNS rows of x, a group of 32 values at a
// time through shared memory; each of its 16 x 8 threads sums 4 rows times 4 columns.

const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 32u;
const THREADS: u32 = 128u;

// The sums of a thread: rows my_row + 16 r, each with columns my_column + 8 c.
alias Sums = array<vec4<f32>, 4>;

@compute @workgroup_size(THREADS)
fn matmul(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let n = n_rows(params.of_outputs);
    let first_row = workgroup.x * TILE_ROWS;
    let first_column = workgroup.y * TILE_COLUMNS;
    let my_row = lane % 16u;
    let my_column = lane / 16u;
    var sums: Sums;
    for (var group = 0u; group < params.n_groups; group++) {
        if lane < TILE_ROWS {
            put_weights(lane, load_weights(min(first_row + lane, params.n_rows * ROWS_PER_OUTPUT - 1u), group));
        } else if lane < TILE_ROWS + TILE_COLUMNS {
            let column = lane - TILE_ROWS;
            put_column(column, load_column(min(first_column + column, n - 1u), group));
        }
        workgroupBarrier();
        multiply_tiles(my_row, my_column, &sums);
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r += ROWS_PER_OUTPUT) {
        let output = output_of(first_row + my_row + 16u * r);
        for (var c = 0u; c < 4u; c++) {
            let column = first_column + my_column + 8u * c;
            if output < params.n_rows && column < n {
                store(params.first_row + output, column, combine(sums[r][c], sums[r + ROWS_PER_OUTPUT - 1u][c]));
            }
        }
    }
}
