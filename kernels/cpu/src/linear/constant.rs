//! What needs constant positions to compile to nothing: arrays of vectors, and parts of blocks.

/// An array of an expression with the constant 0, 1, 2, 3 in it.
///
/// It stands where `array::map` would: functions of the standard library lack the instruction set, so a closure that has
/// it cannot be inlined into them, and their calls would pass vectors through memory.
macro_rules! four {
    ($i:ident => $expression:expr) => {{
        let first = {
            const $i: usize = 0;
            $expression
        };
        let second = {
            const $i: usize = 1;
            $expression
        };
        let third = {
            const $i: usize = 2;
            $expression
        };
        let fourth = {
            const $i: usize = 3;
            $expression
        };
        [first, second, third, fourth]
    }};
}
pub(super) use four;

/// `N` bytes of a block, from byte `at`. The position is a constant wherever this is called, so nothing is checked at
/// run time.
#[inline(always)]
pub(super) fn bytes<const N: usize>(block: &[u8], at: usize) -> &[u8; N] {
    match block[at..].first_chunk() {
        Some(bytes) => bytes,
        None => panic!("{N} bytes at {at} of a block of {}", block.len()),
    }
}
