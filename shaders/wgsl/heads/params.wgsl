// Ops that move the values of heads.

struct Params {
    width: u32,      // of out
    of_outputs: u32, // whether there is a row per output of the batch instead of one per token
    grid_width: u32, // threads in x, where there are more than fit into one dimension
    n_heads: u32,
    start: u32,      // of `head_slice`: the first value that is taken
    dim: u32,        // of `head_slice`: values per head of x; of `head_concat`: of a
}

@group(0) @binding(0) var<uniform> params: Params;

// Row, head, and place in the head of the element of out that a thread has.
struct Place {
    i: u32,
    row: u32,
    head: u32,
    value: u32,
}

fn place(id: vec3<u32>) -> Place {
    let i = id.y * params.grid_width + id.x;
    let column = i % params.width;
    let len = params.width / params.n_heads;
    return Place(i, i / params.width, column / len, column % len);
}

fn is_there(place: Place) -> bool { return place.row < n_rows(params.of_outputs); }
