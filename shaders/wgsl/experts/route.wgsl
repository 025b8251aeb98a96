// Chooses the experts of each token as `silhak_ops::Routing` says. A workgroup takes one token.

struct Params {
    n_experts: u32,
    n_used: u32,
    n_groups: u32,
    n_used_groups: u32,
    normalize: u32,
    scale: f32,
    of_outputs: u32, // whether there is a token per output of the batch
    has_bias: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;    // [n, n_experts]
@group(0) @binding(2) var<storage, read> bias: array<f32>;      // [n_experts]
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [n, 2, n_used], experts and their weights

const THREADS: u32 = 64u;
const LOWEST: f32 = -3.4028234e38;
const SMALLEST_SUM: f32 = 1e-20; // keeps a division from going wrong where all scores are 0

var<workgroup> scores: array<f32, MOST_EXPERTS>;
var<workgroup> scores_left: array<f32, MOST_EXPERTS>; // with the bias; LOWEST for those that are out
var<workgroup> group_scores: array<f32, MOST_EXPERTS>;
var<workgroup> best_scores: array<f32, THREADS>;
var<workgroup> bests: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn route(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let token = workgroup.x;
    for (var e = lane; e < params.n_experts; e += THREADS) {
        let score = 1.0 / (1.0 + exp(-logits[token * params.n_experts + e]));
        scores[e] = score;
        scores_left[e] = score;
        if params.has_bias != 0u {
            scores_left[e] += bias[e];
        }
    }
    workgroupBarrier();
    if params.n_used_groups < params.n_groups {
        leave_groups(lane);
    }

    let first = 2u * params.n_used * token;
    var sum = 0.0;
    for (var pick = 0u; pick < params.n_used; pick++) {
        let best = take_best(lane);
        if lane == 0u {
            out[first + pick] = f32(best);
            out[first + params.n_used + pick] = scores[best];
            sum += scores[best];
        }
    }
    if lane == 0u {
        let factor = select(params.scale, params.scale / (sum + SMALLEST_SUM), params.normalize != 0u);
        for (var pick = 0u; pick < params.n_used; pick++) {
            out[first + params.n_used + pick] *= factor;
        }
    }
}

// The expert with the highest score of those that are left, the first of equals; it is out then.
fn take_best(lane: u32) -> u32 {
    var best = lane;
    var best_score = LOWEST;
    for (var e = lane; e < params.n_experts; e += THREADS) {
        if scores_left[e] > best_score {
            best = e;
            best_score = scores_left[e];
        }
    }
    best_scores[lane] = best_score;
    bests[lane] = best;
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            let other = lane + half;
            let is_first = best_scores[other] == best_scores[lane] && bests[other] < bests[lane];
            if best_scores[other] > best_scores[lane] || is_first {
                best_scores[lane] = best_scores[other];
                bests[lane] = bests[other];
            }
        }
    }
    workgroupBarrier();
    let taken = bests[0];
    workgroupBarrier();
    if lane == 0u {
        scores_left[taken] = LOWEST;
    }
    workgroupBarrier();
    return taken;
}

// Takes the experts of all but the best groups out; a group's score is the sum of its two best.
fn leave_groups(lane: u32) {
    let len = params.n_experts / params.n_groups;
    for (var group = lane; group < params.n_groups; group += THREADS) {
        var best = LOWEST;
        var second = LOWEST;
        for (var e = group * len; e < (group + 1u) * len; e++) {
            second = max(second, min(best, scores_left[e]));
            best = max(best, scores_left[e]);
        }
        group_scores[group] = best + second;
    }
    workgroupBarrier();
    for (var group = lane; group < params.n_groups; group += THREADS) {
        var n_better = 0u;
        for (var other = 0u; other < params.n_groups; other++) {
            let is_first = group_scores[other] == group_scores[group] && other < group;
            if group_scores[other] > group_scores[group] || is_first {
                n_better++;
            }
        }
        if n_better >= params.n_used_groups {
            for (var e = group * len; e < (group + 1u) * len; e++) {
                scores_left[e] = LOWEST;
            }
        }
    }
    workgroupBarrier();
}
