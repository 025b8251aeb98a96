// The 16 uneven levels of IQ4_NL and IQ4_XS, as signed bytes: -127 -104 -83 -65, -49 -35 -22 -10, 1 13 25 38, 53 69 89 113.
const LEVELS_0: u32 = 0xbfad9881u;
const LEVELS_1: u32 = 0xf6eaddcfu;
const LEVELS_2: u32 = 0x26190d01u;
const LEVELS_3: u32 = 0x71594535u;

// The levels that four bytes in 0..16 stand for.
fn iq4_levels(indices: u32) -> u32 {
    let i = unpack4xU8(indices);
    let lower = select(vec4(LEVELS_0), vec4(LEVELS_1), (i & vec4(4u)) != vec4(0u));
    let upper = select(vec4(LEVELS_2), vec4(LEVELS_3), (i & vec4(4u)) != vec4(0u));
    let levels = select(lower, upper, (i & vec4(8u)) != vec4(0u)) >> (vec4(8u) * (i & vec4(3u)));
    return pack4xU8(levels & vec4(0xffu));
}
