// Sums over a workgroup: within each subgroup by the hardware, then over the subgroups, whose size is not assumed.

struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) n_subgroups: u32,
    @builtin(subgroup_invocation_id) within: u32,
}

// No hardware has subgroups of fewer than 4 lanes.
const MOST_SUBGROUPS: u32 = THREADS / 4u;

var<workgroup> lane_sums: array<array<f32, MOST_SUBGROUPS>, N_SUMS>;

fn add_lanes(lane: Lane, sums: ptr<function, array<f32, N_SUMS>>) {
    for (var i = 0u; i < N_SUMS; i++) {
        let sum = subgroupAdd((*sums)[i]);
        if lane.within == 0u {
            lane_sums[i][lane.subgroup] = sum;
        }
    }
    workgroupBarrier();
    if lane.index < N_SUMS {
        var sum = 0.0;
        for (var s = 0u; s < lane.n_subgroups; s++) {
            sum += lane_sums[lane.index][s];
        }
        lane_sums[lane.index][0] = sum;
    }
    workgroupBarrier();
}

// Sum `i` of the last `add_lanes`, for every lane.
fn lanes_sum(i: u32) -> f32 { return lane_sums[i][0]; }
