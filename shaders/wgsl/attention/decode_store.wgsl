@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>; // [n_tokens, n_heads, FOURS]

fn store_results(lane: u32, first_row: u32, n_queries: u32) {
    for (var at = lane; at < n_queries * FOURS; at += THREADS) {
        out[first_row * FOURS + at] = queries[at / FOURS][at % FOURS] / sum[at / FOURS];
    }
}
