// Rotates pairs of values of each head by the token's position. One thread per pair.

struct Params {
    head_dim: u32,
    n_heads: u32,
    n_rot: u32,    // values of each head that turn
    adjacent: u32, // pairs are (2i, 2i + 1) instead of (i, i + n_rot / 2)
    table: u32,    // which of the batch's tables of turns
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;         // [n_tokens, n_heads, head_dim]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // as x

@compute @workgroup_size(64)
fn rope(@builtin(global_invocation_id) id: vec3<u32>) {
    let pairs = (params.head_dim + 1u) / 2u;
    let head = id.x / pairs;
    let pair = id.x % pairs;
    let token = id.y;
    if head >= params.n_heads || token >= n_tokens() {
        return;
    }
    let first = (token * params.n_heads + head) * params.head_dim;
    let n_turns = params.n_rot / 2u;
    if pair >= n_turns {
        // The rest of the head passes unchanged, two values a thread.
        for (var i = 2u * pair; i < min(2u * pair + 2u, params.head_dim); i++) {
            out[first + i] = x[first + i];
        }
        return;
    }
    let a = first + select(pair, 2u * pair, params.adjacent != 0u);
    let b = a + select(n_turns, 1u, params.adjacent != 0u);
    let turn = batch_turn(params.table, token, n_turns, pair);
    out[a] = x[a] * turn.x - x[b] * turn.y;
    out[b] = x[a] * turn.y + x[b] * turn.x;
}
