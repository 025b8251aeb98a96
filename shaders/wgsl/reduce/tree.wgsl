// Sums over a workgroup, in shared memory: a tree of the same shape whatever the hardware.

struct Lane {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> lane_sums: array<array<f32, THREADS>, N_SUMS>;

fn add_lanes(lane: Lane, sums: ptr<function, array<f32, N_SUMS>>) {
    for (var i = 0u; i < N_SUMS; i++) {
        lane_sums[i][lane.index] = (*sums)[i];
    }
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane.index < half {
            for (var i = 0u; i < N_SUMS; i++) {
                lane_sums[i][lane.index] += lane_sums[i][lane.index + half];
            }
        }
    }
    workgroupBarrier();
}

// Sum `i` of the last `add_lanes`, for every lane.
fn lanes_sum(i: u32) -> f32 { return lane_sums[i][0]; }
