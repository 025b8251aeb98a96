// out = factor * x.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = element(id);
    if i < n_elements() {
        out[i] = params.factor * x[i];
    }
}
