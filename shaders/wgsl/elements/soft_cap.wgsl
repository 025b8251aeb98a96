// out = cap * tanh(x / cap).

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn soft_cap(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = element(id);
    if i < n_elements() {
        // Beyond 15 the hyperbolic tangent is 1 in float32, and some drivers compute it from an exponential that overflows.
        out[i] = params.factor * tanh(clamp(x[i] / params.factor, -15.0, 15.0));
    }
}
