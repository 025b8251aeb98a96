// As store.wgsl writes them.
@group(0) @binding(2) var<storage, read> k_pages: array<u32>;   // [n_pages, page_len, n_kv_heads, head_dim / 4]
@group(0) @binding(3) var<storage, read> v_pages: array<u32>;   // likewise
@group(0) @binding(7) var<storage, read> kv_scales: array<u32>; // [n_pages, page_len, n_kv_heads, head_dim / 32]

fn key_pair(pair: u32) -> vec2<f32> {
    return unpack2x16float(kv_scales[pair / 16u]).x * two_quants(k_pages[pair / 2u], pair);
}

fn value_pair(pair: u32) -> vec2<f32> {
    return unpack2x16float(kv_scales[pair / 16u]).y * two_quants(v_pages[pair / 2u], pair);
}

// The first or last two of four quants.
fn two_quants(four: u32, pair: u32) -> vec2<f32> {
    let quants = bitcast<i32>(four >> (pair % 2u * 16u));
    return vec2(f32(extractBits(quants, 0u, 8u)), f32(extractBits(quants, 8u, 8u)));
}
