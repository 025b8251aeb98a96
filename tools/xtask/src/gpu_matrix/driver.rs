//! A Vulkan driver, and what it says of itself.

use anyhow::Result;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use crate::process;

/// A driver to test.
pub(super) struct Driver {
    pub(super) name: String,
    /// The file that makes Vulkan's loader take it; none takes what is installed.
    pub(super) icd: Option<PathBuf>,
    /// The libraries that it was built for; none takes the system's.
    pub(super) libraries: Option<Libraries>,
}

/// A C library other than the system's, and what else a driver needs of its age.
pub(super) struct Libraries {
    pub(super) folder: PathBuf,
    /// The dynamic linker that starts programs with them.
    pub(super) linker: PathBuf,
}

/// What a driver shows, as `kernels/gpu/examples/adapters.rs` writes it.
#[derive(Debug, PartialEq)]
pub(super) struct Adapter {
    pub(super) name: String,
    pub(super) driver: String,
    pub(super) subgroups: String,
    pub(super) f16: String,
    pub(super) matrices: String,
}

impl Driver {
    /// Makes what `command`, a cargo, runs see this driver alone.
    pub(super) fn choose<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(icd) = &self.icd {
            // The loader's name for it since 1.3.207, and the one before.
            command.env("VK_DRIVER_FILES", icd).env("VK_ICD_FILENAMES", icd);
        }
        if let Some(Libraries { folder, linker }) = &self.libraries {
            let runner = [linker.as_os_str(), OsStr::new("--library-path"), folder.as_os_str()];
            command.arg("--config").arg(format!("target.'cfg(unix)'.runner = {runner:?}"));
            // With it, `gpu_cycles` does not start its own program anew, which would be the linker.
            command.env("MALLOC_ARENA_MAX", "1");
        }
        command
    }

    /// The adapter that tests run on.
    pub(super) fn adapter(&self) -> Result<Option<Adapter>> {
        let mut command = process::cargo();
        command.args(["run", "--quiet", "--locked", "--package", "silhak-gpu", "--example", "adapters"]);
        let lines = process::output(self.choose(&mut command))?;
        Ok(lines.lines().next().and_then(Adapter::parse))
    }
}

impl Adapter {
    fn parse(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, _kind, _api, driver, subgroups, f16, matrices] = columns[..] else { return None };
        let [name, driver, subgroups, f16, matrices] = [name, driver, subgroups, f16, matrices].map(str::to_owned);
        Some(Adapter { name, driver, subgroups, f16, matrices })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_adapter_is_the_one_of_the_tests() {
        let adapter = Adapter::parse("llvmpipe\tcpu\tvulkan\tllvmpipe Mesa 26.2.6\t8\tyes\t16").unwrap();
        assert_eq!((adapter.driver.as_str(), adapter.subgroups.as_str()), ("llvmpipe Mesa 26.2.6", "8"));
        assert_eq!(adapter.matrices, "16");
        assert_eq!(Adapter::parse("llvmpipe"), None);
    }
}
