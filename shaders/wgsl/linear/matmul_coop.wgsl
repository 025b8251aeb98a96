// A workgroup multiplies a tile of ROWS rows of the weight with a tile of COLUMNS rows of x, a group of 32 values at a time:
// both are made half floats in shared memory, and each subgroup multiplies 4 x 4 matrices of them, with sums in float32.
// While it does, the next group is on its way from memory.
//
// A row of x whose values half floats cannot hold is made smaller by a power of two, and its sums larger again.

const THREADS: u32 = SUBGROUP_SIZE * SUBGROUP_ROWS * SUBGROUP_COLUMNS;
const BLOCK: u32 = 4u * SIZE; // rows and columns of a subgroup
const ROWS: u32 = BLOCK * SUBGROUP_ROWS;
const COLUMNS: u32 = BLOCK * SUBGROUP_COLUMNS;
const ROWS_EACH: u32 = ROWS / THREADS;
const COLUMNS_EACH: u32 = COLUMNS / THREADS;

const STRIDE: u32 = 10u; // of a row in a tile: 8 times 4 values, and what keeps rows in different banks
const STRIP_ROWS: u32 = ROWS + 4u; // likewise

var<workgroup> weight_tile: array<vec4<f16>, ROWS * STRIDE>;
var<workgroup> column_tile: array<vec4<f16>, COLUMNS * STRIDE>;
var<workgroup> strip: array<f32, SIZE * SUBGROUP_COLUMNS * STRIP_ROWS>; // [column, row], one matrix wide in every subgroup
var<workgroup> growth: array<f32, COLUMNS>; // what the sums of a column are multiplied with

@compute @workgroup_size(THREADS)
fn matmul_coop(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(workgroup_id) workgroup: vec3<u32>,
) {
    let n = n_rows(params.of_outputs);
    let first_row = workgroup.x * ROWS;
    let first_column = workgroup.y * COLUMNS;
    let my_rows = subgroup % SUBGROUP_ROWS * BLOCK;
    let my_columns = subgroup / SUBGROUP_ROWS * BLOCK;
    let stride = STRIDE;

    var weights: array<Weights, ROWS_EACH>;
    var columns: array<Column, COLUMNS_EACH>;
    var shrinkage: array<f32, COLUMNS_EACH>; // what the values of a column are multiplied with
    for (var i = 0u; i < COLUMNS_EACH; i++) {
        let column = lane + i * THREADS;
        let power = excess(largest_of_column(min(first_column + column, n - 1u)));
        shrinkage[i] = power_of_two(-power);
        growth[column] = power_of_two(power);
    }
    var sum_00: Sum; var sum_01: Sum; var sum_02: Sum; var sum_03: Sum;
    var sum_10: Sum; var sum_11: Sum; var sum_12: Sum; var sum_13: Sum;
    var sum_20: Sum; var sum_21: Sum; var sum_22: Sum; var sum_23: Sum;
    var sum_30: Sum; var sum_31: Sum; var sum_32: Sum; var sum_33: Sum;
    for (var group = 0u; group < params.n_groups; group++) {
        if group == 0u {
            load(lane, first_row, first_column, n, group, &weights, &columns);
        }
        for (var i = 0u; i < ROWS_EACH; i++) {
            put_weights(lane + i * THREADS, weight_values(weights[i]));
        }
        for (var i = 0u; i < COLUMNS_EACH; i++) {
            put_column(lane + i * THREADS, column_values(columns[i], shrinkage[i]));
        }
        workgroupBarrier();
        if group + 1u < params.n_groups {
            load(lane, first_row, first_column, n, group + 1u, &weights, &columns);
        }
        for (var k = 0u; k < 8u; k += SIZE / 4u) {
            let row = my_rows * STRIDE + k;
            let column = my_columns * STRIDE + k;
            let weights_0 = coopLoadT<WeightMatrix>(&weight_tile[row], stride);
            let weights_1 = coopLoadT<WeightMatrix>(&weight_tile[row + 1u * SIZE * STRIDE], stride);
            let weights_2 = coopLoadT<WeightMatrix>(&weight_tile[row + 2u * SIZE * STRIDE], stride);
            let weights_3 = coopLoadT<WeightMatrix>(&weight_tile[row + 3u * SIZE * STRIDE], stride);
            let columns_0 = coopLoad<ColumnMatrix>(&column_tile[column], stride);
            sum_00 = coopMultiplyAdd(weights_0, columns_0, sum_00);
            sum_10 = coopMultiplyAdd(weights_1, columns_0, sum_10);
            sum_20 = coopMultiplyAdd(weights_2, columns_0, sum_20);
            sum_30 = coopMultiplyAdd(weights_3, columns_0, sum_30);
            let columns_1 = coopLoad<ColumnMatrix>(&column_tile[column + 1u * SIZE * STRIDE], stride);
            sum_01 = coopMultiplyAdd(weights_0, columns_1, sum_01);
            sum_11 = coopMultiplyAdd(weights_1, columns_1, sum_11);
            sum_21 = coopMultiplyAdd(weights_2, columns_1, sum_21);
            sum_31 = coopMultiplyAdd(weights_3, columns_1, sum_31);
            let columns_2 = coopLoad<ColumnMatrix>(&column_tile[column + 2u * SIZE * STRIDE], stride);
            sum_02 = coopMultiplyAdd(weights_0, columns_2, sum_02);
            sum_12 = coopMultiplyAdd(weights_1, columns_2, sum_12);
            sum_22 = coopMultiplyAdd(weights_2, columns_2, sum_22);
            sum_32 = coopMultiplyAdd(weights_3, columns_2, sum_32);
            let columns_3 = coopLoad<ColumnMatrix>(&column_tile[column + 3u * SIZE * STRIDE], stride);
            sum_03 = coopMultiplyAdd(weights_0, columns_3, sum_03);
            sum_13 = coopMultiplyAdd(weights_1, columns_3, sum_13);
            sum_23 = coopMultiplyAdd(weights_2, columns_3, sum_23);
            sum_33 = coopMultiplyAdd(weights_3, columns_3, sum_33);
        }
        workgroupBarrier();
    }

    let strip_stride = STRIP_ROWS;
    let mine_0 = subgroup / SUBGROUP_ROWS * SIZE * STRIP_ROWS + my_rows;
    let mine_1 = mine_0 + SIZE;
    let mine_2 = mine_1 + SIZE;
    let mine_3 = mine_2 + SIZE;
    coopStore(sum_00, &strip[mine_0], strip_stride);
    coopStore(sum_10, &strip[mine_1], strip_stride);
    coopStore(sum_20, &strip[mine_2], strip_stride);
    coopStore(sum_30, &strip[mine_3], strip_stride);
    store_strip(lane, first_row, first_column, 0u, n);
    coopStore(sum_01, &strip[mine_0], strip_stride);
    coopStore(sum_11, &strip[mine_1], strip_stride);
    coopStore(sum_21, &strip[mine_2], strip_stride);
    coopStore(sum_31, &strip[mine_3], strip_stride);
    store_strip(lane, first_row, first_column, SIZE, n);
    coopStore(sum_02, &strip[mine_0], strip_stride);
    coopStore(sum_12, &strip[mine_1], strip_stride);
    coopStore(sum_22, &strip[mine_2], strip_stride);
    coopStore(sum_32, &strip[mine_3], strip_stride);
    store_strip(lane, first_row, first_column, 2u * SIZE, n);
    coopStore(sum_03, &strip[mine_0], strip_stride);
    coopStore(sum_13, &strip[mine_1], strip_stride);
    coopStore(sum_23, &strip[mine_2], strip_stride);
    coopStore(sum_33, &strip[mine_3], strip_stride);
    store_strip(lane, first_row, first_column, 3u * SIZE, n);
}

// What the thread puts into the tiles for a group.
fn load(
    lane: u32,
    first_row: u32,
    first_column: u32,
    n: u32,
    group: u32,
    weights: ptr<function, array<Weights, ROWS_EACH>>,
    columns: ptr<function, array<Column, COLUMNS_EACH>>,
) {
    for (var i = 0u; i < ROWS_EACH; i++) {
        let row = min(first_row + lane + i * THREADS, params.n_rows * ROWS_PER_OUTPUT - 1u);
        (*weights)[i] = load_weights(row, group);
    }
    for (var i = 0u; i < COLUMNS_EACH; i++) {
        (*columns)[i] = load_column(min(first_column + lane + i * THREADS, n - 1u), group);
    }
}

// The power of two by which a value is beyond what half floats hold with some room; 0 where it is not.
fn excess(value: f32) -> i32 {
    return max(i32((bitcast<u32>(value) >> 23u) & 0xffu) - 127 - 14, 0);
}

fn power_of_two(power: i32) -> f32 { return bitcast<f32>(u32(127 + power) << 23u); }

fn put_weights(row: u32, unpacked: array<vec4<f32>, 8>) {
    var values = unpacked;
    for (var w = 0u; w < 8u; w++) {
        weight_tile[row * STRIDE + w] = vec4<f16>(values[w]);
    }
}

fn put_column(column: u32, unpacked: array<vec4<f32>, 8>) {
    var values = unpacked;
    for (var w = 0u; w < 8u; w++) {
        column_tile[column * STRIDE + w] = vec4<f16>(values[w]);
    }
}

// Every thread calls this when its subgroup has stored a column of matrices; `shift` is where it begins in each subgroup.
fn store_strip(lane: u32, first_row: u32, first_column: u32, shift: u32, n: u32) {
    workgroupBarrier();
    for (var at = lane; at < ROWS * SIZE * SUBGROUP_COLUMNS; at += THREADS) {
        let row = at % ROWS;
        let place = at / ROWS;
        let in_tile = shift + place / SIZE * BLOCK + place % SIZE;
        let column = first_column + in_tile;
        let output = output_of(first_row + row);
        // Of two rows that make an output, the first is 16 before the second.
        let is_first = ROWS_PER_OUTPUT == 1u || row / 16u % 2u == 0u;
        if is_first && output < params.n_rows && column < n {
            let sum = place * STRIP_ROWS + row;
            let grow = growth[in_tile];
            let value = combine(grow * strip[sum], grow * strip[sum + 16u * (ROWS_PER_OUTPUT - 1u)]);
            store(params.first_row + output, column, value);
        }
    }
    workgroupBarrier();
}
