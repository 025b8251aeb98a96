// out[t] = table[token[t]], for the tokens whose row is in this chunk of the table. One thread per group of 32 values.

struct Params {
    n_rows: u32,    // rows of the chunk
    n_groups: u32,  // groups of 32 values per row
    width: u32,     // values per row
    first_row: u32, // of the chunk, in the whole table
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [n_tokens, width]

@compute @workgroup_size(32)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = id.x;
    let token = id.y;
    if group >= params.n_groups || token >= n_tokens() {
        return;
    }
    let row = token_id(token) - params.first_row; // wraps for a row before the chunk
    if row >= params.n_rows {
        return;
    }
    var values = load_values(row, group);
    let first = 32u * group;
    for (var i = 0u; i < min(32u, params.width - first); i++) {
        out[token * params.width + first + i] = values[i / 4u][i % 4u];
    }
}
