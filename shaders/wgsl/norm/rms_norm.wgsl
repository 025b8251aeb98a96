// out = x / sqrt(mean(x^2) + eps) * weight, over each run of `len` values. One workgroup per run.

struct Params {
    len: u32,
    runs_per_row: u32,
    eps: f32,
    of_outputs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;         // [n, runs_per_row, len]
@group(0) @binding(2) var<storage, read> weight: array<f32>;    // [len]
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // as x

const N_SUMS: u32 = 1u;

@compute @workgroup_size(THREADS)
fn rms_norm(lane: Lane, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let first = (workgroup.y * params.runs_per_row + workgroup.x) * params.len;
    var sums = array(0.0);
    for (var i = lane.index; i < params.len; i += THREADS) {
        sums[0] = fma(x[first + i], x[first + i], sums[0]);
    }
    add_lanes(lane, &sums);
    let scale = inverseSqrt(lanes_sum(0u) / f32(params.len) + params.eps);
    for (var i = lane.index; i < params.len; i += THREADS) {
        out[first + i] = x[first + i] * scale * weight[i];
    }
}
