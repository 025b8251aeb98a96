// Rotates queries and keys by the token's position, and stores the keys, and the values beside them, in their pages. One
// thread per two values: of the query heads first, then of the key-value heads.

struct Params {
    head_dim: u32,
    n_heads: u32,
    n_rot: u32,    // values of each head that turn
    adjacent: u32, // pairs are (2i, 2i + 1) instead of (i, i + n_rot / 2)
    table: u32,    // which of the batch's tables of turns
    n_kv_heads: u32,
    group: u32,    // key-value group of the layer
    page_len: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;         // [n_tokens, n_heads, head_dim]
@group(0) @binding(2) var<storage, read> k: array<f32>;         // [n_tokens, n_kv_heads, head_dim]
@group(0) @binding(3) var<storage, read> v: array<f32>;         // as k
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // as q

@compute @workgroup_size(64)
fn rope_kv(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let token = workgroup.y;
    if token >= n_tokens() {
        return;
    }
    let width = params.n_heads * params.head_dim;
    let kv_width = params.n_kv_heads * params.head_dim;
    let at = 2u * (workgroup.x * 64u + lane);
    var pair = 0u;
    var key = vec2(0.0);
    var value = vec2(0.0);
    let is_kv = at >= width && at < width + kv_width;
    if at < width {
        let i = at % params.head_dim;
        let head = token * width + at - i;
        out[head + i] = turned_q(head, i, token);
        out[head + i + 1u] = turned_q(head, i + 1u, token);
    } else if is_kv {
        let kv_at = at - width;
        let i = kv_at % params.head_dim;
        let head = token * kv_width + kv_at - i;
        let table = page_table(params.group, token_sequence(token));
        pair = (kv_row(table, token_position(token), params.page_len) * kv_width + kv_at) / 2u;
        key = vec2(turned_k(head, i, token), turned_k(head, i + 1u, token));
        value = vec2(v[head + i], v[head + i + 1u]);
    }
    store_kv(lane, is_kv, pair, key, value);
}

fn turned_q(head: u32, i: u32, token: u32) -> f32 {
    let turn = turn_of(i, token);
    return q[head + i] * turn.cosine + q[head + turn.partner] * turn.sine;
}

fn turned_k(head: u32, i: u32, token: u32) -> f32 {
    let turn = turn_of(i, token);
    return k[head + i] * turn.cosine + k[head + turn.partner] * turn.sine;
}
