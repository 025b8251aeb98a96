//! Models that `cargo xtask fetch` downloads.

use std::path::PathBuf;

/// The path of a test model, or `None` with a word on why the test is skipped.
///
/// # Panics
/// If the model is absent and `SILHAK_REQUIRE` has `models`: there it must not be.
pub fn model_or_skip(file: &str) -> Option<PathBuf> {
    let path = folder()?.join(file);
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("SILHAK_REQUIRE").is_ok_and(|list| list.split(',').any(|word| word == "models"));
    assert!(!required, "{file} is required and absent; run `cargo xtask fetch`");
    println!("SKIPPED: {file} is absent; run `cargo xtask fetch`");
    None
}

fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("SILHAK_TEST_MODELS").map(PathBuf::from);
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    given.or_else(|| cache().or_else(home).map(|cache| cache.join("silhak/test-models")))
}
