// out = activation(gate) * up.

@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> up: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn gated(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = element(id);
    if i < n_elements() {
        out[i] = activation(gate[i]) * up[i];
    }
}
