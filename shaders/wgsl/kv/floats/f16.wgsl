// Keys and values as half floats, two to a word.
alias KvPair = u32;
alias KvFour = vec2<u32>;

fn unpack_pair(pair: KvPair) -> vec2<f32> { return unpack2x16float(pair); }
fn pack_pair(values: vec2<f32>) -> KvPair { return pack2x16float(values); }
fn unpack_four(four: KvFour) -> vec4<f32> { return vec4(unpack2x16float(four.x), unpack2x16float(four.y)); }
