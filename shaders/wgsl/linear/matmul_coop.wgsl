// A workgroup multiplies a tile of TILE_ROWS rows of the weight with TILE_COLUMNS rows of x, a group of 32 values at a
// time through shared memory, as half floats in cooperative matrices whose sums are float32. Its subgroups lie in
// SUBGROUP_ROWS x SUBGROUP_COLUMNS, each with a block of 4 x 4 matrices of the tile.

const BLOCK: u32 = 4u * SIZE;
const TILE_ROWS: u32 = BLOCK * SUBGROUP_ROWS;
const TILE_COLUMNS: u32 = BLOCK * SUBGROUP_COLUMNS;
const THREADS: u32 = SUBGROUP_SIZE * SUBGROUP_ROWS * SUBGROUP_COLUMNS;

// The rows of the tiles that a thread fills.
const MY_ROWS: u32 = TILE_ROWS / THREADS;
const MY_COLUMNS: u32 = TILE_COLUMNS / THREADS;

// Fours of values from one row of a tile to the next: two more than a group has, so that rows next to each other lie in
// different banks of shared memory.
const STRIDE: u32 = 10u;

// A strip has one column of matrices of each block. Its columns lie apart likewise.
const STRIP_COLUMNS: u32 = SIZE * SUBGROUP_COLUMNS;
const STRIP_STRIDE: u32 = TILE_ROWS + 4u;

// Half floats are precise from 6e-5 to 65504: weights are small, and some models have large activations.
const WEIGHT_FACTOR: f32 = 16.0;
const COLUMN_FACTOR: f32 = 1.0 / WEIGHT_FACTOR;

var<workgroup> weight_tile: array<vec4<f16>, TILE_ROWS * STRIDE>;    // [TILE_ROWS, STRIDE]
var<workgroup> column_tile: array<vec4<f16>, TILE_COLUMNS * STRIDE>; // [TILE_COLUMNS, STRIDE]
var<workgroup> strip: array<f32, STRIP_COLUMNS * STRIP_STRIDE>;      // [STRIP_COLUMNS, STRIP_STRIDE]

// What a thread has read and not yet put into the tiles.
struct Mine {
    weights: array<Weights, MY_ROWS>,
    columns: array<Column, MY_COLUMNS>,
}

@compute @workgroup_size(THREADS)
fn matmul_coop(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(workgroup_id) workgroup: vec3<u32>,
) {
    let first_row = workgroup.x * TILE_ROWS;
    let first_column = workgroup.y * TILE_COLUMNS;
    let block_row = BLOCK * (subgroup / SUBGROUP_COLUMNS);
    let block_column = BLOCK * (subgroup % SUBGROUP_COLUMNS);

    // The sums of matrix row R and matrix column C are sum_RC. They have names, and are no array, because a driver can only
    // keep in registers what it knows the place of.
    var sum_00: Sum; var sum_01: Sum; var sum_02: Sum; var sum_03: Sum;
    var sum_10: Sum; var sum_11: Sum; var sum_12: Sum; var sum_13: Sum;
    var sum_20: Sum; var sum_21: Sum; var sum_22: Sum; var sum_23: Sum;
    var sum_30: Sum; var sum_31: Sum; var sum_32: Sum; var sum_33: Sum;

    var mine = read_group(lane, first_row, first_column, 0u);
    for (var group = 0u; group < params.n_groups; group++) {
        workgroupBarrier();
        fill_tiles(lane, mine);
        workgroupBarrier();
        // The memory brings the next group while this one is multiplied.
        mine = read_group(lane, first_row, first_column, min(group + 1u, params.n_groups - 1u));
        for (var k = 0u; k < 32u; k += SIZE) {
            let row = block_row * STRIDE + k / 4u;
            let weights_0 = coopLoadT<WeightMatrix>(&weight_tile[row], STRIDE);
            let weights_1 = coopLoadT<WeightMatrix>(&weight_tile[row + SIZE * STRIDE], STRIDE);
            let weights_2 = coopLoadT<WeightMatrix>(&weight_tile[row + 2u * SIZE * STRIDE], STRIDE);
            let weights_3 = coopLoadT<WeightMatrix>(&weight_tile[row + 3u * SIZE * STRIDE], STRIDE);
            let column = block_column * STRIDE + k / 4u;
            let columns_0 = coopLoad<ColumnMatrix>(&column_tile[column], STRIDE);
            let columns_1 = coopLoad<ColumnMatrix>(&column_tile[column + SIZE * STRIDE], STRIDE);
            let columns_2 = coopLoad<ColumnMatrix>(&column_tile[column + 2u * SIZE * STRIDE], STRIDE);
            let columns_3 = coopLoad<ColumnMatrix>(&column_tile[column + 3u * SIZE * STRIDE], STRIDE);
            sum_00 = coopMultiplyAdd(weights_0, columns_0, sum_00);
            sum_10 = coopMultiplyAdd(weights_1, columns_0, sum_10);
            sum_20 = coopMultiplyAdd(weights_2, columns_0, sum_20);
            sum_30 = coopMultiplyAdd(weights_3, columns_0, sum_30);
            sum_01 = coopMultiplyAdd(weights_0, columns_1, sum_01);
            sum_11 = coopMultiplyAdd(weights_1, columns_1, sum_11);
            sum_21 = coopMultiplyAdd(weights_2, columns_1, sum_21);
            sum_31 = coopMultiplyAdd(weights_3, columns_1, sum_31);
            sum_02 = coopMultiplyAdd(weights_0, columns_2, sum_02);
            sum_12 = coopMultiplyAdd(weights_1, columns_2, sum_12);
            sum_22 = coopMultiplyAdd(weights_2, columns_2, sum_22);
            sum_32 = coopMultiplyAdd(weights_3, columns_2, sum_32);
            sum_03 = coopMultiplyAdd(weights_0, columns_3, sum_03);
            sum_13 = coopMultiplyAdd(weights_1, columns_3, sum_13);
            sum_23 = coopMultiplyAdd(weights_2, columns_3, sum_23);
            sum_33 = coopMultiplyAdd(weights_3, columns_3, sum_33);
        }
    }

    let at = SIZE * (subgroup % SUBGROUP_COLUMNS) * STRIP_STRIDE + block_row;
    coopStore(sum_00, &strip[at], STRIP_STRIDE);
    coopStore(sum_10, &strip[at + SIZE], STRIP_STRIDE);
    coopStore(sum_20, &strip[at + 2u * SIZE], STRIP_STRIDE);
    coopStore(sum_30, &strip[at + 3u * SIZE], STRIP_STRIDE);
    store_strip(lane, first_row, first_column);
    coopStore(sum_01, &strip[at], STRIP_STRIDE);
    coopStore(sum_11, &strip[at + SIZE], STRIP_STRIDE);
    coopStore(sum_21, &strip[at + 2u * SIZE], STRIP_STRIDE);
    coopStore(sum_31, &strip[at + 3u * SIZE], STRIP_STRIDE);
    store_strip(lane, first_row, first_column + SIZE);
    coopStore(sum_02, &strip[at], STRIP_STRIDE);
    coopStore(sum_12, &strip[at + SIZE], STRIP_STRIDE);
    coopStore(sum_22, &strip[at + 2u * SIZE], STRIP_STRIDE);
    coopStore(sum_32, &strip[at + 3u * SIZE], STRIP_STRIDE);
    store_strip(lane, first_row, first_column + 2u * SIZE);
    coopStore(sum_03, &strip[at], STRIP_STRIDE);
    coopStore(sum_13, &strip[at + SIZE], STRIP_STRIDE);
    coopStore(sum_23, &strip[at + 2u * SIZE], STRIP_STRIDE);
    coopStore(sum_33, &strip[at + 3u * SIZE], STRIP_STRIDE);
    store_strip(lane, first_row, first_column + 3u * SIZE);
}

fn read_group(lane: u32, first_row: u32, first_column: u32, group: u32) -> Mine {
    let last_row = params.n_rows * ROWS_PER_OUTPUT - 1u;
    let last_column = n_rows(params.of_outputs) - 1u;
    var mine: Mine;
    for (var i = 0u; i < MY_ROWS; i++) {
        mine.weights[i] = load_weights(min(first_row + lane + THREADS * i, last_row), group);
    }
    for (var i = 0u; i < MY_COLUMNS; i++) {
        mine.columns[i] = load_column(min(first_column + lane + THREADS * i, last_column), group);
    }
    return mine;
}

fn fill_tiles(lane: u32, read: Mine) {
    var mine = read;
    for (var i = 0u; i < MY_ROWS; i++) {
        var values = weight_values(mine.weights[i]);
        for (var w = 0u; w < 8u; w++) {
            weight_tile[(lane + THREADS * i) * STRIDE + w] = vec4<f16>(WEIGHT_FACTOR * values[w]);
        }
    }
    for (var i = 0u; i < MY_COLUMNS; i++) {
        var values = column_values(mine.columns[i]);
        for (var w = 0u; w < 8u; w++) {
            column_tile[(lane + THREADS * i) * STRIDE + w] = vec4<f16>(COLUMN_FACTOR * values[w]);
        }
    }
}

// Stores the outputs of a strip, whose columns are SIZE of each block, the first block's from `first_column`.
fn store_strip(lane: u32, first_row: u32, first_column: u32) {
    workgroupBarrier();
    let outputs = TILE_ROWS / ROWS_PER_OUTPUT;
    let n = n_rows(params.of_outputs);
    for (var i = lane; i < outputs * STRIP_COLUMNS; i += THREADS) {
        let output = first_row / ROWS_PER_OUTPUT + i % outputs;
        let c = i / outputs;
        let column = first_column + c / SIZE * BLOCK + c % SIZE;
        if output < params.n_rows && column < n {
            let at = c * STRIP_STRIDE;
            let first = strip[at + row_of(i % outputs, 0u)];
            let second = strip[at + row_of(i % outputs, ROWS_PER_OUTPUT - 1u)];
            store(params.first_row + output, column, combine(first, second));
        }
    }
    workgroupBarrier();
}
