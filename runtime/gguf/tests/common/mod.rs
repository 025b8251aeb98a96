//! What the tests of this crate share: the test models, and what may be skipped.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "these are tests too")]

pub(crate) mod cases;
pub(crate) mod dump;
pub(crate) mod peak;
pub(crate) mod random;
pub(crate) mod raw;

use std::path::PathBuf;

/// The test model `name`, or `None` after saying that the test is skipped; fails when `SILHAK_REQUIRE` names `models`.
pub(crate) fn test_model(name: &str) -> Option<PathBuf> {
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home_cache = || std::env::home_dir().unwrap_or_default().join(".cache");
    let folder = match std::env::var_os("SILHAK_TEST_MODELS") {
        Some(folder) => PathBuf::from(folder),
        None => cache().unwrap_or_else(home_cache).join("silhak/test-models"),
    };
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    skip("models", &format!("{} is not there", path.display()));
    None
}

/// Says that a test is skipped for want of `what`; fails when `SILHAK_REQUIRE` (a comma list) names it.
pub(crate) fn skip(what: &str, why: &str) {
    let required = std::env::var("SILHAK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|need| need.trim() == what), "{what} required, but {why}");
    eprintln!("SKIPPED: {why}");
}
