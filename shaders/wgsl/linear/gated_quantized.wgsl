// activation(gate) * up in 8 bits, for a few rows of x. A workgroup makes a block of 32 values: each of its teams of TEAM
// threads multiplies the rows of TEAM_OUTPUTS of them, each thread every TEAM-th group of values.

@group(0) @binding(6) var<storage, read_write> y_quants: array<vec4<u32>>; // [n, n_out / 32, 2], 32 signed bytes
@group(0) @binding(7) var<storage, read_write> y_scales: array<vec2<u32>>; // [n, n_out / 32], scale, sums of both halves

const THREADS: u32 = TEAM * (32u / TEAM_OUTPUTS);
const TEAM_ROWS: u32 = 2u * TEAM_OUTPUTS;

var<workgroup> lane_sums: array<array<f32, THREADS>, TEAM_ROWS>;
var<workgroup> values: array<vec4<f32>, 8>;

@compute @workgroup_size(THREADS)
fn gated_quantized(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
) {
    let n = n_rows(params.of_outputs);
    let block = workgroup.y * grid.x + workgroup.x;
    let n_blocks = params.n_rows / 32u;
    let team = lane / TEAM;
    let first = 32u * min(block, n_blocks - 1u) + TEAM_OUTPUTS * team;
    var sums: array<array<f32, COLUMNS>, TEAM_ROWS>;
    for (var group = lane % TEAM; group < params.n_groups; group += TEAM) {
        var columns: array<Column, COLUMNS>;
        for (var c = 0u; c < COLUMNS; c++) {
            columns[c] = load_column(min(c, n - 1u), group);
        }
        for (var r = 0u; r < TEAM_ROWS; r++) {
            let weights = load_weights(row_of(first + r % TEAM_OUTPUTS, r / TEAM_OUTPUTS), group);
            for (var c = 0u; c < COLUMNS; c++) {
                sums[r][c] += dot_group(weights, columns[c]);
            }
        }
    }
    for (var c = 0u; c < COLUMNS; c++) {
        for (var r = 0u; r < TEAM_ROWS; r++) {
            lane_sums[r][lane] = sums[r][c];
        }
        for (var half = TEAM / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if lane % TEAM < half {
                for (var r = 0u; r < TEAM_ROWS; r++) {
                    lane_sums[r][lane] += lane_sums[r][lane + half];
                }
            }
        }
        workgroupBarrier();
        for (var output = lane; output < 32u; output += THREADS) {
            let owner = TEAM * (output / TEAM_OUTPUTS);
            let r = output % TEAM_OUTPUTS;
            values[output / 4u][output % 4u] = combine(lane_sums[r][owner], lane_sums[r + TEAM_OUTPUTS][owner]);
        }
        workgroupBarrier();
        if lane == 0u && c < n && block < n_blocks {
            store_quantized((c * params.n_out + params.first_row) / 32u + block, values);
        }
        workgroupBarrier();
    }
}
