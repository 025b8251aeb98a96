@group(0) @binding(5) var<storage, read_write> x_quants: array<vec4<u32>>; // [n_tokens, n_heads, head_dim / 32, 2]
@group(0) @binding(6) var<storage, read_write> x_scales: array<vec2<u32>>; // [n_tokens, n_heads, head_dim / 32]

const HEAD_BLOCKS: u32 = FOURS / 8u;

fn store_results(lane: u32, first_row: u32, n_queries: u32) {
    for (var at = lane; at < n_queries * HEAD_BLOCKS; at += THREADS) {
        let query = at / HEAD_BLOCKS;
        var values: Block;
        for (var w = 0u; w < 8u; w++) {
            values[w] = queries[query][at % HEAD_BLOCKS * 8u + w] / sum[query];
        }
        store_quantized(first_row * HEAD_BLOCKS + at, values);
    }
}
