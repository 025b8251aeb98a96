// Stores the keys and values of the batch's tokens in their pages. One thread per pair of values.

struct Params {
    n_pairs: u32, // of a token's keys, and again of its values
    group: u32,   // key-value group of the layer
    page_len: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> k: array<vec2<f32>>;               // [n_tokens, n_pairs]
@group(0) @binding(2) var<storage, read> v: array<vec2<f32>>;               // [n_tokens, n_pairs]
@group(0) @binding(3) var<storage, read_write> k_pages: array<KvPair>; // [n_pages, page_len, n_pairs]
@group(0) @binding(4) var<storage, read_write> v_pages: array<KvPair>; // [n_pages, page_len, n_pairs]

@compute @workgroup_size(64)
fn kv_write(@builtin(global_invocation_id) id: vec3<u32>) {
    let token = id.y;
    if id.x >= params.n_pairs || token >= n_tokens() {
        return;
    }
    let table = page_table(params.group, token_sequence(token));
    let stored = kv_row(table, token_position(token), params.page_len) * params.n_pairs + id.x;
    let row = token * params.n_pairs + id.x;
    k_pages[stored] = pack_pair(k[row]);
    v_pages[stored] = pack_pair(v[row]);
}
