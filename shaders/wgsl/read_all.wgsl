// Reads a buffer once, and does nothing with it: what the memory gives at best.

struct Params {
    n: u32,         // vectors of the buffer
    n_threads: u32, // of the whole dispatch
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<vec4<u32>>;       // [n]
@group(0) @binding(2) var<storage, read_write> found: array<vec4<u32>>; // [1]

@compute @workgroup_size(THREADS)
fn read_all(@builtin(global_invocation_id) id: vec3<u32>) {
    var sum = vec4(0u);
    for (var i = id.x; i < params.n; i += params.n_threads) {
        sum |= data[i];
    }
    // The buffer holds zeros, which no compiler can know.
    if any(sum != vec4(0u)) {
        found[0] = sum;
    }
}
