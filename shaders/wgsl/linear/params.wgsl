// y = x weight^T + bias, for a chunk of the weight's rows.

struct Params {
    n_rows: u32,     // rows of the chunk
    n_groups: u32,   // groups of 32 values per row
    n_in: u32,       // values per row: the width of x
    first_row: u32,  // of the chunk, in the whole weight
    n_out: u32,      // rows of the whole weight: the width of y
    of_outputs: u32, // whether x and y have a row per output instead of one per token
    grid_width: u32, // workgroups in x, where there are more than fit into one dimension
}

@group(0) @binding(0) var<uniform> params: Params;
