// As store.wgsl writes them.
@group(0) @binding(2) var<storage, read> k_pages: array<u32>;   // [n_pages, page_len, n_kv_heads, head_dim / 4]
@group(0) @binding(3) var<storage, read> v_pages: array<u32>;   // likewise
@group(0) @binding(7) var<storage, read> kv_scales: array<u32>; // [n_pages, page_len, n_kv_heads, head_dim / 32]

// Four quants, and the scales of the key and of the value.
alias KvFour = vec2<u32>;

fn key_four(four: u32) -> KvFour { return vec2(k_pages[four], kv_scales[four / 8u]); }
fn value_four(four: u32) -> KvFour { return vec2(v_pages[four], kv_scales[four / 8u]); }
fn unpack_key(four: KvFour) -> vec4<f32> { return unpack2x16float(four.y).x * vec4<f32>(unpack4xI8(four.x)); }
fn unpack_value(four: KvFour) -> vec4<f32> { return unpack2x16float(four.y).y * vec4<f32>(unpack4xI8(four.x)); }
