// Puts the splits of attention together: each was relative to its own highest score. One workgroup per query.

@group(0) @binding(4) var<storage, read> partials: array<f32>; // as attention.wgsl writes them

@compute @workgroup_size(64)
fn merge(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let row = workgroup.y * params.n_heads + workgroup.x;
    let stride = params.head_dim + 2u;
    let first = row * n_splits() * stride;
    var most = LOWEST;
    for (var split = 0u; split < n_splits(); split++) {
        most = max(most, partials[first + split * stride + params.head_dim]);
    }
    for (var i = lane; i < params.head_dim; i += 64u) {
        var sum = 0.0;
        var weights = 0.0;
        for (var split = 0u; split < n_splits(); split++) {
            let at = first + split * stride;
            let fade = exp(partials[at + params.head_dim] - most);
            sum = fma(fade, partials[at + i], sum);
            weights = fma(fade, partials[at + params.head_dim + 1u], weights);
        }
        put(row, i, sum / weights);
    }
    finish_query(lane, row, true);
}
