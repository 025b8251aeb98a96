// As f16.wgsl or f32.wgsl have them.
@group(0) @binding(2) var<storage, read> k_pages: array<KvFour>; // [n_pages, page_len, n_kv_heads, head_dim / 4]
@group(0) @binding(3) var<storage, read> v_pages: array<KvFour>; // likewise

fn key_four(four: u32) -> KvFour { return k_pages[four]; }
fn value_four(four: u32) -> KvFour { return v_pages[four]; }
fn unpack_key(four: KvFour) -> vec4<f32> { return unpack_four(four); }
fn unpack_value(four: KvFour) -> vec4<f32> { return unpack_four(four); }
