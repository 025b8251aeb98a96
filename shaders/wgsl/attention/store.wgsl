@group(0) @binding(5) var<storage, read_write> out: array<f32>; // [n_tokens, n_heads, head_dim]

// Takes value `i` of the result of a query; `row` is its token and head.
fn put(row: u32, i: u32, value: f32) {
    out[row * params.head_dim + i] = value;
}

// Every thread calls this when all values of a query are put.
fn finish_query(lane: u32, row: u32, is_put: bool) {}
