//! A Vulkan driver, and what it says of itself.

use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

use crate::process;

/// A driver to test.
pub(super) struct Driver {
    pub(super) name: String,
    /// The file that makes Vulkan's loader take it; none takes what is installed.
    pub(super) icd: Option<PathBuf>,
}

/// What a driver shows, as `kernels/gpu/examples/adapters.rs` writes it.
#[derive(Debug, PartialEq)]
pub(super) struct Adapter {
    pub(super) name: String,
    pub(super) driver: String,
    pub(super) subgroups: String,
    pub(super) f16: String,
}

impl Driver {
    /// Makes `command` see this driver alone.
    pub(super) fn choose<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(icd) = &self.icd {
            // The loader's name for it since 1.3.207, and the one before.
            command.env("VK_DRIVER_FILES", icd).env("VK_ICD_FILENAMES", icd);
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
        let [name, _kind, _api, driver, subgroups, f16] = columns[..] else { return None };
        let [name, driver, subgroups, f16] = [name, driver, subgroups, f16].map(str::to_owned);
        Some(Adapter { name, driver, subgroups, f16 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_adapter_is_the_one_of_the_tests() {
        let adapter = Adapter::parse("llvmpipe\tcpu\tvulkan\tllvmpipe Mesa 25.0.7\t8\tyes").unwrap();
        assert_eq!((adapter.driver.as_str(), adapter.subgroups.as_str()), ("llvmpipe Mesa 25.0.7", "8"));
        assert_eq!(Adapter::parse("llvmpipe"), None);
    }
}
