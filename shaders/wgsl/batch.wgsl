// What changes from batch to batch, in one buffer that is written once per batch (`silhak_gpu::batch` writes it).
//
// HEADER words: n_tokens, n_outputs, n_sequences, n_tiles, n_splits, then where each of these lists begins:
//   tokens, positions, sequences  [n_tokens]
//   outputs                       [n_outputs], the token of each
//   tiles                         [n_tiles, 2], first token and number of tokens
//   tables                        [n_groups, n_sequences], where each page table begins
//   choices                       [n_outputs, 6], how each token is chosen, where tokens are chosen here
// After the header, where the turns of each rope table begin: [n_tokens, n_turns, 2] floats.

@group(1) @binding(0) var<storage, read> batch: array<u32>;

const HEADER: u32 = 12u;

fn n_tokens() -> u32 { return batch[0]; }
fn n_outputs() -> u32 { return batch[1]; }
fn n_splits() -> u32 { return batch[4]; }

// The rows that a value has in this batch: one per token, or one per output.
fn n_rows(of_outputs: u32) -> u32 { return select(n_tokens(), n_outputs(), of_outputs != 0u); }

fn token_id(token: u32) -> u32 { return batch[batch[5] + token]; }
fn token_position(token: u32) -> u32 { return batch[batch[6] + token]; }
fn token_sequence(token: u32) -> u32 { return batch[batch[7] + token]; }
fn output_token(output: u32) -> u32 { return batch[batch[8] + output]; }

// How the token of an output is chosen: `silhak_ops::Choice`.
struct Choice {
    slot: u32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    uniform: f32,
}

fn choice(output: u32) -> Choice {
    let at = batch[11] + 6u * output;
    return Choice(
        batch[at],
        bitcast<f32>(batch[at + 1u]),
        batch[at + 2u],
        bitcast<f32>(batch[at + 3u]),
        bitcast<f32>(batch[at + 4u]),
        bitcast<f32>(batch[at + 5u]),
    );
}

// First token and number of tokens of a tile: tokens of one sequence whose attention one workgroup works out.
fn tile_tokens(tile: u32) -> vec2<u32> {
    let at = batch[9] + 2u * tile;
    return vec2(batch[at], batch[at + 1u]);
}

// Where the page table of a sequence begins in a key-value group.
fn page_table(group: u32, sequence: u32) -> u32 { return batch[batch[10] + group * batch[2] + sequence]; }

// Where a position's keys and values lie, in rows of the layer's pages.
fn kv_row(table: u32, position: u32, page_len: u32) -> u32 {
    return batch[table + position / page_len] * page_len + position % page_len;
}

// Cosine and sine of a pair of values at a token's position.
fn batch_turn(table: u32, token: u32, n_turns: u32, pair: u32) -> vec2<f32> {
    let at = batch[HEADER + table] + 2u * (token * n_turns + pair);
    return vec2(bitcast<f32>(batch[at]), bitcast<f32>(batch[at + 1u]));
}
