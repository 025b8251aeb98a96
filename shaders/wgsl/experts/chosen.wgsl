@group(0) @binding(7) var<storage, read> chosen: array<f32>; // [n, 2, n_used], experts and their weights

fn expert_of(token: u32, slot: u32) -> u32 { return u32(chosen[2u * params.n_used * token + slot]); }
