// 8-bit keys and values: the rule is that of `silhak_ops::KvElement::Q8_0`.
@group(0) @binding(5) var<storage, read_write> k_pages: array<u32>;   // [n_pages, page_len, n_kv_heads, head_dim / 4]
@group(0) @binding(6) var<storage, read_write> v_pages: array<u32>;   // likewise
// [n_pages, page_len, n_kv_heads, head_dim / 32]: of each block the key's scale and the value's, as half floats.
@group(0) @binding(7) var<storage, read_write> kv_scales: array<u32>;

const HALF_NAN: u32 = 0x7e00u;

var<workgroup> pairs: array<vec4<f32>, 64>; // of the key, then of the value

// Stores a pair of a key and of a value at `pair` of the pages. All threads of a workgroup of 64 call this together; 16 of
// them have a block.
fn store_kv(lane: u32, is_there: bool, pair: u32, key: vec2<f32>, value: vec2<f32>) {
    pairs[lane] = vec4(key, value);
    workgroupBarrier();
    if !is_there {
        return;
    }
    var most = vec4(0u);
    for (var i = 0u; i < 16u; i++) {
        most = max(most, bitcast<vec4<u32>>(pairs[lane / 16u * 16u + i]) & vec4(0x7fffffffu));
    }
    let key_scale = block_scale(max(most.x, most.y));
    let value_scale = block_scale(max(most.z, most.w));
    if lane % 16u == 0u {
        kv_scales[pair / 16u] = half_bits(key_scale.scale) | (half_bits(value_scale.scale) << 16u);
    }
    // Of two threads, one packs four quants of the key, and the other of the value.
    let first = pairs[lane / 2u * 2u];
    let second = pairs[lane / 2u * 2u + 1u];
    if lane % 2u == 0u {
        k_pages[pair / 2u] = quants(vec4(first.xy, second.xy), key_scale.inverse);
    } else {
        v_pages[pair / 2u] = quants(vec4(first.zw, second.zw), value_scale.inverse);
    }
}

fn quants(values: vec4<f32>, inverse: f32) -> u32 {
    // Where the inverse is 0, values may be infinite.
    return select(pack4xI8(vec4<i32>(round(values * inverse))), 0u, inverse == 0.0);
}

// The half float nearest to a float that is given as bits.
fn half_bits(scale: u32) -> u32 {
    return select(pack2x16float(vec2(bitcast<f32>(scale), 0.0)), HALF_NAN, scale == NAN);
}
