// As f16.wgsl or f32.wgsl have them.
@group(0) @binding(5) var<storage, read_write> k_pages: array<KvPair>; // [n_pages, page_len, n_kv_heads, head_dim / 2]
@group(0) @binding(6) var<storage, read_write> v_pages: array<KvPair>; // likewise

// Stores a pair of a key and of a value at `pair` of the pages. All threads of a workgroup of 64 call this together.
fn store_kv(lane: u32, is_there: bool, pair: u32, key: vec2<f32>, value: vec2<f32>) {
    if is_there {
        k_pages[pair] = pack_pair(key);
        v_pages[pair] = pack_pair(value);
    }
}
