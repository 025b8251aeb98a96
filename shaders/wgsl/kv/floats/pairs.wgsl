// As f16.wgsl or f32.wgsl have them.
@group(0) @binding(2) var<storage, read> k_pages: array<KvPair>; // [n_pages, page_len, n_kv_heads, head_dim / 2]
@group(0) @binding(3) var<storage, read> v_pages: array<KvPair>; // likewise

fn key_pair(pair: u32) -> vec2<f32> { return unpack_pair(k_pages[pair]); }
fn value_pair(pair: u32) -> vec2<f32> { return unpack_pair(v_pages[pair]); }
