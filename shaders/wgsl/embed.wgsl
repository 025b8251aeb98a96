// out[t] = table[token[t]], for the tokens whose row is in this chunk of the table. One thread per group of 32 values.

struct Params {
    n_rows: u32,    // rows of the chunk
    n_groups: u32,  // groups of 32 values per row
    width: u32,     // values per row
    first_row: u32, // of the chunk, in the whole table
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [n_tokens, width]
@group(0) @binding(5) var<storage, read> chosen: array<u32>;    // [n_slots], the token chosen last for each sequence

const CHOSEN: u32 = 0x80000000u; // a token of this bit is the number of a slot

@compute @workgroup_size(32)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = id.x;
    let token = id.y;
    if group >= params.n_groups || token >= n_tokens() {
        return;
    }
    var id_of_token = token_id(token);
    if (id_of_token & CHOSEN) != 0u {
        id_of_token = chosen[id_of_token & ~CHOSEN];
    }
    let row = id_of_token - params.first_row; // wraps for a row before the chunk
    if row >= params.n_rows {
        return;
    }
    var values = load_values(row, group);
    let first = 32u * group;
    for (var i = 0u; i < min(32u, params.width - first); i++) {
        out[token * params.width + first + i] = values[i / 4u][i % 4u];
    }
}
