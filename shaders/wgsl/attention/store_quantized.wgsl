@group(0) @binding(5) var<storage, read_write> x_quants: array<vec4<u32>>; // [n_tokens, n_heads, head_dim / 32, 2]
@group(0) @binding(6) var<storage, read_write> x_scales: array<vec2<u32>>; // [n_tokens, n_heads, head_dim / 32]

const HEAD_BLOCKS: u32 = HEAD_PAIRS / 16u;

var<workgroup> result: array<vec4<f32>, 8u * HEAD_BLOCKS>;

// Takes value `i` of the result of a query; `row` is its token and head.
fn put(row: u32, i: u32, value: f32) {
    result[i / 4u][i % 4u] = value;
}

// Every thread calls this when all values of a query are put.
fn finish_query(lane: u32, row: u32, is_put: bool) {
    workgroupBarrier();
    if is_put && lane < HEAD_BLOCKS {
        var values: Block;
        for (var w = 0u; w < 8u; w++) {
            values[w] = result[8u * lane + w];
        }
        store_quantized(row * HEAD_BLOCKS + lane, values);
    }
    workgroupBarrier();
}
