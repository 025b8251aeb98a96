// Keys and values in single precision.
alias KvPair = vec2<f32>;
alias KvFour = vec4<f32>;

fn unpack_pair(pair: KvPair) -> vec2<f32> { return pair; }
fn pack_pair(values: vec2<f32>) -> KvPair { return values; }
fn unpack_four(four: KvFour) -> vec4<f32> { return four; }
