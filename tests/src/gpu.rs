//! The GPU that tests run on.

use silhak_gpu::{Gpu, GpuError, GpuOptions};

/// A GPU, or `None` with a word on why the test is skipped.
///
/// # Panics
/// If there is no GPU and `SILHAK_REQUIRE` has `gpu`, or if one is there and does not open.
pub fn open_or_skip(options: &GpuOptions) -> Option<Gpu> {
    match Gpu::open(options) {
        Ok(gpu) => Some(gpu),
        Err(GpuError::NoAdapter) => {
            let required = std::env::var("SILHAK_REQUIRE").is_ok_and(|list| list.split(',').any(|word| word == "gpu"));
            assert!(!required, "a GPU is required, and there is none");
            println!("SKIPPED: no GPU; Mesa's software driver is enough (on Debian: mesa-vulkan-drivers)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
