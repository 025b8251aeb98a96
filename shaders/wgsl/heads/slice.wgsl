// Some values of each head.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn head_slice(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = place(id);
    if is_there(at) {
        out[at.i] = x[(at.row * params.n_heads + at.head) * params.dim + params.start + at.value];
    }
}
