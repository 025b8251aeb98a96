// How one value of a head turns: value * cosine + partner * sine.
struct Turn {
    partner: u32,
    cosine: f32,
    sine: f32,
}

// The turn of value `i` of a head. Values beyond `n_rot` pass unchanged.
fn turn_of(i: u32, token: u32) -> Turn {
    let n_pairs = params.n_rot / 2u;
    if i >= params.n_rot {
        return Turn(i, 1.0, 0.0);
    }
    let adjacent = params.adjacent != 0u;
    let pair = select(i % n_pairs, i / 2u, adjacent);
    let is_second = select(i >= n_pairs, i % 2u == 1u, adjacent);
    let distance = select(n_pairs, 1u, adjacent);
    let turn = batch_turn(params.table, token, n_pairs, pair);
    return Turn(select(i + distance, i - distance, is_second), turn.x, select(-turn.y, turn.y, is_second));
}
