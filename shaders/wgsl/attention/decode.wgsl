// Attention of few tokens over many positions: what decoding waits for is the memory, so all threads read at once.
//
// A workgroup works out up to QUERIES heads of one token that share a key-value head, over its split of the positions, in
// blocks of BLOCK. For each block it asks for keys and values together; SHARERS threads score a position; a team of FOURS
// threads sums the values of every TEAMS-th position.
//
// Workgroups: x the token, y key-value head and block of queries, z the split.

@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>; // [n_tokens, n_heads, FOURS]
// [n_tokens, n_heads, n_splits, head_dim + 2]: sums of values, then highest score and sum of weights.
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;

const THREADS: u32 = 256u;
const BLOCK: u32 = 64u;
const FOURS: u32 = HEAD_PAIRS / 2u;
const SHARERS: u32 = THREADS / BLOCK;
const KEYS_EACH: u32 = (FOURS + SHARERS - 1u) / SHARERS;
const TEAMS: u32 = min(THREADS / FOURS, BLOCK);
const VALUES_EACH: u32 = (BLOCK + TEAMS - 1u) / TEAMS;
const PARTS: u32 = 32u; // threads that share the softmax of a query

var<workgroup> queries: array<array<vec4<f32>, FOURS>, QUERIES>; // at the end, the results
// Shares of scores [QUERIES, SHARERS, BLOCK], of sums of weights [QUERIES, PARTS], of results [2, 4, THREADS].
var<workgroup> shares: array<f32, 8u * THREADS>;
var<workgroup> weights: array<array<f32, BLOCK>, QUERIES>;       // first the scores
var<workgroup> part_highest: array<array<f32, PARTS>, QUERIES>;
var<workgroup> highest: array<f32, QUERIES>;
var<workgroup> sum: array<f32, QUERIES>;
var<workgroup> fading: array<f32, QUERIES>; // what the sums so far are multiplied with

@compute @workgroup_size(THREADS)
fn decode(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let token = workgroup.x;
    let kv_head = workgroup.y % params.n_kv_heads;
    let heads_per_kv = params.n_heads / params.n_kv_heads;
    let first_query = workgroup.y / params.n_kv_heads * QUERIES;
    let n_queries = min(QUERIES, heads_per_kv - first_query);
    let first_row = token * params.n_heads + kv_head * heads_per_kv + first_query;

    for (var at = lane; at < QUERIES * FOURS; at += THREADS) {
        let i = min(at / FOURS, n_queries - 1u);
        queries[at / FOURS][at % FOURS] = params.scale * q[(first_row + i) * FOURS + at % FOURS];
    }
    if lane < QUERIES {
        highest[lane] = LOWEST;
        sum[lane] = 0.0;
    }

    // The positions that the token sees, and this split's blocks of them.
    let position = token_position(token);
    let end = position + 1u;
    let seen = select(0u, end - min(params.window, end), params.window != 0u);
    let begin = seen / BLOCK;
    let n_blocks = (end + BLOCK - 1u) / BLOCK - begin;
    let share = (n_blocks + n_splits() - 1u) / n_splits();
    let first_block = begin + workgroup.z * share;
    let last_block = min(first_block + share, begin + n_blocks);
    let table = page_table(params.group, token_sequence(token));

    let team = lane / FOURS;
    var sums: array<vec4<f32>, QUERIES>;
    for (var block = first_block; block < last_block; block++) {
        let first = block * BLOCK;
        // What lies outside is read from where something lies, and weighs nothing.
        let row = kv_row(table, clamp(first + lane / SHARERS, seen, position), params.page_len);
        let key_start = (row * params.n_kv_heads + kv_head) * FOURS;
        var keys: array<KvFour, KEYS_EACH>;
        for (var i = 0u; i < KEYS_EACH; i++) {
            keys[i] = key_four(key_start + min(i * SHARERS + lane % SHARERS, FOURS - 1u));
        }
        var values: array<KvFour, VALUES_EACH>;
        for (var i = 0u; i < VALUES_EACH; i++) {
            let at = min(i * TEAMS + min(team, TEAMS - 1u), BLOCK - 1u);
            let row = kv_row(table, clamp(first + at, seen, position), params.page_len);
            values[i] = value_four((row * params.n_kv_heads + kv_head) * FOURS + lane % FOURS);
        }
        workgroupBarrier();
        share_scores(lane, &keys);
        workgroupBarrier();
        for (var at = lane; at < QUERIES * BLOCK; at += THREADS) {
            let scored = first + at % BLOCK;
            let share = at / BLOCK * SHARERS * BLOCK + at % BLOCK;
            let score = (shares[share] + shares[share + BLOCK]) + (shares[share + 2u * BLOCK] + shares[share + 3u * BLOCK]);
            weights[at / BLOCK][at % BLOCK] = select(LOWEST, score, scored >= seen && scored < end);
        }
        workgroupBarrier();
        weigh(lane);
        for (var query = 0u; query < QUERIES; query++) {
            sums[query] *= fading[query];
        }
        for (var i = 0u; i < VALUES_EACH; i++) {
            let at = i * TEAMS + team;
            if team < TEAMS && at < BLOCK {
                let four = unpack_value(values[i]);
                for (var query = 0u; query < QUERIES; query++) {
                    sums[query] = fma(vec4(weights[query][at]), four, sums[query]);
                }
            }
        }
    }

    // The teams' sums, in turn in either half of the shares, so that one barrier a query is enough.
    for (var query = 0u; query < QUERIES; query++) {
        let half = query % 2u * 4u * THREADS;
        for (var i = 0u; i < 4u; i++) {
            shares[half + i * THREADS + lane] = sums[query][i];
        }
        workgroupBarrier();
        if lane < FOURS {
            var total = vec4(0.0);
            for (var other = 0u; other < TEAMS; other++) {
                let at = half + other * FOURS + lane;
                total += vec4(shares[at], shares[at + THREADS], shares[at + 2u * THREADS], shares[at + 3u * THREADS]);
            }
            queries[query][lane] = total;
        }
    }
    workgroupBarrier();

    if n_splits() == 1u {
        store_results(lane, first_row, n_queries);
        return;
    }
    for (var at = lane; at < n_queries * FOURS; at += THREADS) {
        let query = at / FOURS;
        let partial = ((first_row + query) * n_splits() + workgroup.z) * (params.head_dim + 2u);
        let four = queries[query][at % FOURS];
        for (var i = 0u; i < 4u; i++) {
            partials[partial + 4u * (at % FOURS) + i] = four[i];
        }
        if at % FOURS == 0u {
            partials[partial + params.head_dim] = highest[query];
            partials[partial + params.head_dim + 1u] = sum[query];
        }
    }
}

// This thread's share of the scores of its position.
fn share_scores(lane: u32, keys: ptr<function, array<KvFour, KEYS_EACH>>) {
    var products: array<f32, QUERIES>;
    for (var i = 0u; i < KEYS_EACH; i++) {
        let at = i * SHARERS + lane % SHARERS;
        if at < FOURS {
            let four = unpack_key((*keys)[i]);
            for (var query = 0u; query < QUERIES; query++) {
                products[query] += dot(queries[query][at], four);
            }
        }
    }
    for (var query = 0u; query < QUERIES; query++) {
        shares[(query * SHARERS + lane % SHARERS) * BLOCK + lane / SHARERS] = products[query];
    }
}

// Scores to weights, relative to the highest score so far. Ends with a barrier.
fn weigh(lane: u32) {
    let query = lane / PARTS;
    let part = lane % PARTS;
    let is_mine = query < QUERIES;
    if is_mine {
        part_highest[query][part] = max(weights[query][part], weights[query][part + PARTS]);
    }
    workgroupBarrier();
    var most = LOWEST;
    if is_mine {
        most = highest[query];
        for (var other = 0u; other < PARTS; other++) {
            most = max(most, part_highest[query][other]);
        }
        var total = 0.0;
        for (var half = 0u; half < 2u; half++) {
            let score = weights[query][part + half * PARTS];
            let weight = select(0.0, exp(score - most), score > LOWEST);
            weights[query][part + half * PARTS] = weight;
            total += weight;
        }
        shares[query * PARTS + part] = total;
    }
    workgroupBarrier();
    if is_mine && part == 0u {
        let fade = exp(highest[query] - most);
        var total = sum[query] * fade;
        for (var other = 0u; other < PARTS; other++) {
            total += shares[query * PARTS + other];
        }
        fading[query] = fade;
        sum[query] = total;
        highest[query] = most;
    }
    workgroupBarrier();
}
