//! Any bytes as a GGUF file.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use silhak_fuzz::{gguf, gguf_mutator};

fuzz_target!(|bytes: &[u8]| gguf::check(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    gguf_mutator::mutate_half(data, size, max_size, seed).unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});
