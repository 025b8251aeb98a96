struct Params {
    n_heads: u32,
    n_kv_heads: u32,
    head_dim: u32,
    window: u32, // 0 where every earlier position is seen
    group: u32,  // key-value group of the layer
    page_len: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;

// Below every score.
const LOWEST: f32 = -3.0e38;
