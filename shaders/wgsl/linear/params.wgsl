// y = x weight^T + bias, for a chunk of the weight's rows.

struct Params {
    n_rows: u32,     // outputs of the chunk
    n_groups: u32,   // groups of 32 values per row
    n_in: u32,       // values per row: the width of x
    first_row: u32,  // first output of the chunk
    n_out: u32,      // width of y
    of_outputs: u32, // whether x and y have a row per output of the batch instead of one per token
    n_out_2: u32,    // widths of the second and the third y, where there are three
    n_out_3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
