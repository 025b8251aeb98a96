// out[t] = sum over j of weight[t, j] * x[t, j]: what a token's experts say together.

struct Params {
    width: u32,
    of_outputs: u32,
    n_used: u32,     // experts of a token
    grid_width: u32, // threads in x, where there are more than fit into one dimension
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;         // [n, n_used, width]
@group(0) @binding(2) var<storage, read> chosen: array<f32>;    // [n, 2, n_used], experts and their weights
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [n, width]

@compute @workgroup_size(256)
fn expert_sum(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * params.grid_width + id.x;
    if i >= n_rows(params.of_outputs) * params.width {
        return;
    }
    let token = i / params.width;
    let first = token * params.n_used;
    var sum = 0.0;
    for (var j = 0u; j < params.n_used; j++) {
        let weight = chosen[2u * first + params.n_used + j];
        sum += weight * x[(first + j) * params.width + i % params.width];
    }
    out[i] = sum;
}
