// The values of each head of b behind those of a.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn head_concat(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = place(id);
    if !is_there(at) {
        return;
    }
    let head = at.row * params.n_heads + at.head;
    if at.value < params.dim {
        out[at.i] = a[head * params.dim + at.value];
    } else {
        let more = params.width / params.n_heads - params.dim;
        out[at.i] = b[head * more + at.value - params.dim];
    }
}
