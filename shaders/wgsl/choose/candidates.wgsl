// The most likely tokens of a part of the vocabulary, as many as the choice keeps: those of all parts together hold those
// of the whole. One workgroup per part and output.

struct Params {
    n_vocab: u32,
    n_parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;                // [n_outputs, n_vocab]
@group(0) @binding(2) var<storage, read_write> candidates: array<vec2<u32>>; // [n_outputs, n_parts, MOST_TOP_K], key and token

@compute @workgroup_size(THREADS)
fn candidates_of_part(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let part = workgroup.x;
    let output = workgroup.y;
    var held: Held;
    for (var i = 0u; i < EACH; i++) {
        let token = (part * EACH + i) * THREADS + lane;
        held.tokens[i] = token;
        held.keys[i] = NOTHING;
        if token < params.n_vocab {
            held.keys[i] = key_of(logits[output * params.n_vocab + token]);
        }
    }
    let first = (output * params.n_parts + part) * MOST_TOP_K;
    let n = choice(output).top_k;
    for (var rank = 0u; rank < n; rank++) {
        let best = take_best(lane, &held);
        if lane == 0u {
            candidates[first + rank] = best;
        }
    }
}
