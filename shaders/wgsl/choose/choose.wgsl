// The token of each output, from the candidates of all parts of the vocabulary: the rule is that of
// `silhak_ops::Choice`. One workgroup per output.

struct Params {
    n_vocab: u32,
    n_parts: u32, // at most THREADS * EACH / MOST_TOP_K
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> candidates: array<vec2<u32>>;   // [n_outputs, n_parts, MOST_TOP_K], key and token
@group(0) @binding(2) var<storage, read_write> chosen: array<u32>;       // [n_slots], the last of each sequence
@group(0) @binding(3) var<storage, read_write> chosen_now: array<u32>;   // [n_outputs], NO_TOKEN where there is none

const NO_TOKEN: u32 = 0xffffffffu;
const INFINITY_KEY: u32 = 0xff800000u;
const MINUS_INFINITY_KEY: u32 = 0x007fffffu;

var<workgroup> tokens: array<u32, MOST_TOP_K>; // falling
var<workgroup> weights: array<f32, MOST_TOP_K>; // probabilities over that of the first

@compute @workgroup_size(THREADS)
fn choose(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let output = workgroup.x;
    let rule = choice(output);
    var held: Held;
    for (var i = 0u; i < EACH; i++) {
        let at = i * THREADS + lane;
        let part = at / MOST_TOP_K;
        let rank = at % MOST_TOP_K;
        held.keys[i] = NOTHING;
        held.tokens[i] = NO_TOKEN;
        if part < params.n_parts && rank < rule.top_k {
            let candidate = candidates[output * params.n_parts * MOST_TOP_K + at];
            held.keys[i] = candidate.x;
            held.tokens[i] = candidate.y;
        }
    }
    var first_key = NOTHING;
    for (var rank = 0u; rank < rule.top_k; rank++) {
        let best = take_best(lane, &held);
        if rank == 0u {
            first_key = best.x;
        }
        if lane == 0u {
            tokens[rank] = best.y;
            // Where the vocabulary is smaller than top_k, nothing is left at some point.
            weights[rank] = select(0.0, weight_of(best.x, first_key, rule.temperature), best.x != NOTHING);
        }
    }
    if lane == 0u {
        let is_broken = first_key > INFINITY_KEY || first_key <= MINUS_INFINITY_KEY;
        let token = select(draw(rule), NO_TOKEN, is_broken);
        chosen_now[output] = token;
        chosen[rule.slot] = select(token, 0u, is_broken);
    }
}

fn weight_of(key: u32, first_key: u32, temperature: f32) -> f32 {
    if key == first_key {
        return 1.0;
    }
    if temperature == 0.0 || key <= MINUS_INFINITY_KEY {
        return 0.0;
    }
    return exp((logit_of(key) - logit_of(first_key)) / temperature);
}

fn draw(rule: Choice) -> u32 {
    if rule.temperature == 0.0 {
        return tokens[0];
    }
    var sum = 0.0;
    for (var rank = 0u; rank < rule.top_k; rank++) {
        sum += weights[rank];
    }
    // The fewest that have top_p of the probability, and at least one.
    let enough = rule.top_p * sum;
    var n = rule.top_k;
    if rule.top_p < 1.0 {
        var before = 0.0;
        n = 0u;
        while n < rule.top_k && before < enough {
            before += weights[n];
            n++;
        }
        n = max(n, 1u);
    }
    var total = 0.0;
    for (var rank = 0u; rank < n; rank++) {
        total += select(0.0, weights[rank], weights[rank] >= rule.min_p);
    }
    var left = rule.uniform * total;
    var last = 0u;
    for (var rank = 0u; rank < n; rank++) {
        if weights[rank] >= rule.min_p && weights[rank] > 0.0 {
            last = rank;
            left -= weights[rank];
            if left < 0.0 {
                break;
            }
        }
    }
    // Rounding can leave a trace of the total; then it is the last.
    return tokens[last];
}
