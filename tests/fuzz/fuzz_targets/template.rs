//! Any text as a chat template, with any conversation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use silhak_fuzz::template;

fuzz_target!(|bytes: &[u8]| {
    // What is wrong with a template is for the plain tests to know.
    let _ = template::check(bytes);
});
