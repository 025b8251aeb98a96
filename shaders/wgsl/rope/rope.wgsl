// Rotates the values of each head by the token's position. One thread per value.

struct Params {
    head_dim: u32,
    n_heads: u32,
    n_rot: u32,    // values of each head that turn
    adjacent: u32, // pairs are (2i, 2i + 1) instead of (i, i + n_rot / 2)
    table: u32,    // which of the batch's tables of turns
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;         // [n_tokens, n_heads, head_dim]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // as x

@compute @workgroup_size(64)
fn rope(@builtin(global_invocation_id) id: vec3<u32>) {
    let width = params.n_heads * params.head_dim;
    if id.x >= width || id.y >= n_tokens() {
        return;
    }
    let i = id.x % params.head_dim;
    let head = id.y * width + id.x - i;
    let turn = turn_of(i, id.y);
    out[head + i] = x[head + i] * turn.cosine + x[head + turn.partner] * turn.sine;
}
