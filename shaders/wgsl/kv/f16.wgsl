// Keys and values as half floats, two to a word.
alias KvPair = u32;

fn unpack_pair(pair: KvPair) -> vec2<f32> { return unpack2x16float(pair); }
fn pack_pair(values: vec2<f32>) -> KvPair { return pack2x16float(values); }
