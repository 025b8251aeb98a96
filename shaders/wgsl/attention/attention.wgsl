// Causal attention over paged keys and values, with an online softmax (Milakov and Gimelshein 2018).
//
// A workgroup works out up to QUERIES queries that share a key-value head: the heads of a group, for the tokens of a
// tile. It goes through its split of the positions in blocks of THREADS: each thread scores one position against all
// queries, then sums its PAIRS pairs of values of the head over all positions.
//
// Workgroups: x the tile, y key-value head and block of queries, z the split.

@group(0) @binding(1) var<storage, read> q: array<f32>; // [n_tokens, n_heads, head_dim]
// [n_tokens, n_heads, n_splits, head_dim + 2]: sums of values, then highest score and sum of weights.
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;

const PARTS: u32 = THREADS / QUERIES; // threads that share the softmax of a query
const PART_LEN: u32 = THREADS / PARTS;

struct Query {
    head: u32,
    token: u32,
    first: u32, // position that it sees first
    end: u32,   // position after the last; 0 where there is no such query
}

var<workgroup> queries: array<Query, QUERIES>;
var<workgroup> query_values: array<array<vec2<f32>, HEAD_PAIRS>, QUERIES>;
var<workgroup> scores: array<array<f32, THREADS>, QUERIES>; // then the weights
var<workgroup> part_highest: array<array<f32, PARTS>, QUERIES>;
var<workgroup> part_sum: array<array<f32, PARTS>, QUERIES>;
var<workgroup> highest: array<f32, QUERIES>;
var<workgroup> sum: array<f32, QUERIES>;
var<workgroup> fading: array<f32, QUERIES>; // what the sums so far are multiplied with

@compute @workgroup_size(THREADS)
fn attention(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let heads_per_kv = params.n_heads / params.n_kv_heads;
    let tile = tile_tokens(workgroup.x);
    let kv_head = workgroup.y % params.n_kv_heads;
    let first_query = workgroup.y / params.n_kv_heads * QUERIES;
    let n_pairs = params.head_dim / 2u;

    if lane < QUERIES {
        queries[lane] = query(first_query + lane, kv_head, heads_per_kv, tile);
        highest[lane] = LOWEST;
        sum[lane] = 0.0;
    }
    workgroupBarrier();
    for (var i = 0u; i < QUERIES; i++) {
        let start = (queries[i].token * params.n_heads + queries[i].head) * params.head_dim;
        for (var pair = lane; pair < n_pairs; pair += THREADS) {
            query_values[i][pair] = params.scale * vec2(q[start + 2u * pair], q[start + 2u * pair + 1u]);
        }
    }

    // The positions that any query of the tile sees, and this split's blocks of them.
    let end = token_position(tile.x + tile.y - 1u) + 1u;
    let seen = first_seen(token_position(tile.x));
    let begin = seen / THREADS;
    let n_blocks = (end + THREADS - 1u) / THREADS - begin;
    let share = (n_blocks + n_splits() - 1u) / n_splits();
    let first_block = begin + workgroup.z * share;
    let last_block = min(first_block + share, begin + n_blocks);

    let table = page_table(params.group, token_sequence(tile.x));
    var sums: array<array<vec2<f32>, PAIRS>, QUERIES>;
    for (var block = first_block; block < last_block; block++) {
        workgroupBarrier();
        score(lane, block * THREADS + lane, kv_head, table, end);
        workgroupBarrier();
        softmax_highest(lane);
        workgroupBarrier();
        softmax_weights(lane);
        workgroupBarrier();
        for (var i = 0u; i < QUERIES; i++) {
            for (var p = 0u; p < PAIRS; p++) {
                sums[i][p] *= fading[i];
            }
        }
        for (var position = max(seen, block * THREADS); position < min(end, (block + 1u) * THREADS); position++) {
            let row = kv_row(table, position, params.page_len);
            let start = (row * params.n_kv_heads + kv_head) * n_pairs;
            for (var p = 0u; p < PAIRS; p++) {
                let pair = lane + p * THREADS;
                if pair < n_pairs {
                    let values = value_pair(start + pair);
                    for (var i = 0u; i < QUERIES; i++) {
                        sums[i][p] = fma(vec2(scores[i][position - block * THREADS]), values, sums[i][p]);
                    }
                }
            }
        }
    }
    workgroupBarrier();

    let is_alone = n_splits() == 1u;
    for (var i = 0u; i < QUERIES; i++) {
        let is_there = queries[i].end != 0u;
        let row = queries[i].token * params.n_heads + queries[i].head;
        let partial = (row * n_splits() + workgroup.z) * (params.head_dim + 2u);
        for (var p = 0u; p < PAIRS; p++) {
            let pair = lane + p * THREADS;
            if is_there && pair < n_pairs {
                if is_alone {
                    put(row, 2u * pair, sums[i][p].x / sum[i]);
                    put(row, 2u * pair + 1u, sums[i][p].y / sum[i]);
                } else {
                    partials[partial + 2u * pair] = sums[i][p].x;
                    partials[partial + 2u * pair + 1u] = sums[i][p].y;
                }
            }
        }
        if is_there && !is_alone && lane == 0u {
            partials[partial + params.head_dim] = highest[i];
            partials[partial + params.head_dim + 1u] = sum[i];
        }
        finish_query(lane, row, is_there && is_alone);
    }
}

// Query `i` of a key-value head in a tile: the group's heads of the first token, then of the next.
fn query(i: u32, kv_head: u32, heads_per_kv: u32, tile: vec2<u32>) -> Query {
    let head = kv_head * heads_per_kv + i % heads_per_kv;
    if i / heads_per_kv >= tile.y {
        return Query(head, tile.x, 0u, 0u);
    }
    let token = tile.x + i / heads_per_kv;
    let position = token_position(token);
    return Query(head, token, first_seen(position), position + 1u);
}

// The first position that a query at `position` sees.
fn first_seen(position: u32) -> u32 {
    return select(0u, position + 1u - min(params.window, position + 1u), params.window != 0u);
}

// Scores one position against all queries.
fn score(lane: u32, position: u32, kv_head: u32, table: u32, end: u32) {
    var products: array<f32, QUERIES>;
    if position < end {
        let n_pairs = params.head_dim / 2u;
        let start = (kv_row(table, position, params.page_len) * params.n_kv_heads + kv_head) * n_pairs;
        for (var pair = 0u; pair < n_pairs; pair++) {
            let key = key_pair(start + pair);
            for (var i = 0u; i < QUERIES; i++) {
                products[i] += dot(query_values[i][pair], key);
            }
        }
    }
    for (var i = 0u; i < QUERIES; i++) {
        let is_seen = position >= queries[i].first && position < queries[i].end;
        scores[i][lane] = select(LOWEST, products[i], is_seen);
    }
}

// The highest score of this thread's part of a query.
fn softmax_highest(lane: u32) {
    let i = lane / PARTS;
    let part = lane % PARTS;
    var most = LOWEST;
    for (var j = 0u; j < PART_LEN; j++) {
        most = max(most, scores[i][part + j * PARTS]);
    }
    part_highest[i][part] = most;
}

// The weights of this thread's part of a query, and what the softmax so far fades to.
fn softmax_weights(lane: u32) {
    let i = lane / PARTS;
    let part = lane % PARTS;
    var most = highest[i];
    for (var p = 0u; p < PARTS; p++) {
        most = max(most, part_highest[i][p]);
    }
    var part_total = 0.0;
    for (var j = 0u; j < PART_LEN; j++) {
        let s = scores[i][part + j * PARTS];
        let weight = select(0.0, exp(s - most), s > LOWEST);
        scores[i][part + j * PARTS] = weight;
        part_total += weight;
    }
    part_sum[i][part] = part_total;
    workgroupBarrier();
    if part == 0u {
        let fade = exp(highest[i] - most);
        var total = sum[i] * fade;
        for (var p = 0u; p < PARTS; p++) {
            total += part_sum[i][p];
        }
        fading[i] = fade;
        sum[i] = total;
        highest[i] = most;
    }
}
