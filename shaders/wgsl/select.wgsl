// The rows of x whose logits are wanted.

struct Params {
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;         // [n_tokens, width]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [n_outputs, width]

@compute @workgroup_size(64)
fn select_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.width && id.y < n_outputs() {
        out[id.y * params.width + id.x] = x[output_token(id.y) * params.width + id.x];
    }
}
