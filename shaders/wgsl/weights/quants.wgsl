// Quantized weights, unpacked by groups of 32 values of a row.

struct Group {
    quants: array<u32, 8>, // word w holds the quants of values 4w..4w+4 as signed bytes
    scale: vec2<f32>,      // of values 0..16 and of values 16..32
    offset: vec2<f32>,     // likewise; a value is scale * quant + offset
}

// 4-bit quants: the low half of byte b of word w is value 4w + b, the high half value 16 + 4w + b.
fn nibbles(words: vec4<u32>) -> array<u32, 8> {
    let low = words & vec4(0x0f0f0f0fu);
    let high = (words >> vec4(4u)) & vec4(0x0f0f0f0fu);
    return array(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
}

// 2-bit fields: bits 2s..2s+2 of byte b of word k are value 4 (4k + s) + b.
fn pairs(words: vec2<u32>, w: u32) -> u32 {
    let word = select(words.x, words.y, w >= 4u);
    return (word >> (2u * (w & 3u))) & 0x03030303u;
}

// Single bits: bit 8b + w is value 4w + b.
fn bits(word: u32, w: u32) -> u32 {
    return (word >> w) & 0x01010101u;
}

// Half floats, two to a word.
fn half_at(word: u32, i: u32) -> f32 {
    let both = unpack2x16float(word);
    return select(both.x, both.y, (i & 1u) != 0u);
}

fn byte_at(word: u32, i: u32) -> u32 {
    return (word >> (8u * (i & 3u))) & 0xffu;
}
