// Ops on each value alone.

struct Params {
    width: u32,
    of_outputs: u32,
    factor: f32,     // of `scale` and `soft_cap`
    grid_width: u32, // threads in x, where there are more than fit into one dimension
}

@group(0) @binding(0) var<uniform> params: Params;

fn element(id: vec3<u32>) -> u32 { return id.y * params.grid_width + id.x; }

fn n_elements() -> u32 { return n_rows(params.of_outputs) * params.width; }
