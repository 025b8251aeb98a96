//! Where things are: the checkout, the cache, the test models.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The root of the checkout.
pub(crate) fn checkout() -> &'static Path {
    // The manifest is two levels below the root; both parents always exist.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// Silhak's cache, outside the checkout: `$XDG_CACHE_HOME/silhak`, or `~/.cache/silhak`.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => {
            env::home_dir().context("no home directory: set XDG_CACHE_HOME to a folder for downloads")?.join(".cache")
        }
    };
    Ok(base.join("silhak"))
}

/// Where the tests look for real models: `$SILHAK_TEST_MODELS`, or `test-models` in the cache.
pub(crate) fn test_models() -> Result<PathBuf> {
    match env::var_os("SILHAK_TEST_MODELS").filter(|path| !path.is_empty()) {
        Some(path) => Ok(PathBuf::from(path)),
        None => Ok(cache()?.join("test-models")),
    }
}
