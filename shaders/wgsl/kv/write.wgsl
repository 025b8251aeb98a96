// Stores the keys and values of the batch's tokens in their pages. One thread per pair of values.

struct Params {
    n_pairs: u32, // of a token's keys, and again of its values
    group: u32,   // key-value group of the layer
    page_len: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> k: array<vec2<f32>>; // [n_tokens, n_pairs]
@group(0) @binding(3) var<storage, read> v: array<vec2<f32>>; // [n_tokens, n_pairs]

@compute @workgroup_size(64)
fn kv_write(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let token = workgroup.y;
    if token >= n_tokens() {
        return;
    }
    let table = page_table(params.group, token_sequence(token));
    let i = workgroup.x * 64u + lane;
    let is_there = i < params.n_pairs;
    let row = token * params.n_pairs + min(i, params.n_pairs - 1u);
    let stored = kv_row(table, token_position(token), params.page_len) * params.n_pairs + i;
    store_kv(lane, is_there, stored, k[row], v[row]);
}
