//! The GPUs of this machine, and what each of them lacks.

use serde::Serialize;
use silhak::AdapterInfo;

/// A GPU as `doctor --json` prints it; what is not known is `null`.
#[derive(Debug, Serialize)]
pub(crate) struct GpuReport {
    pub(crate) name: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` (software) or `other`.
    pub(crate) kind: &'static str,
    pub(crate) api: String,
    pub(crate) driver: String,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) subgroups: bool,
    pub(crate) max_binding_bytes: u64,
    pub(crate) lacks: Vec<Lack>,
}

/// Something that a GPU lacks, and that costs us something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Lack {
    /// It is a program that runs on the CPU.
    Hardware,
    /// Threads cannot add up their numbers without shared memory.
    Subgroups,
    /// Kernels see less of a buffer than large weights take.
    LargeBindings,
    /// How much memory it has is not told.
    MemorySize,
}

/// Below this, matrices that models have are cut into pieces.
const LARGE_BINDING: u64 = 1 << 30;

impl From<AdapterInfo> for GpuReport {
    fn from(adapter: AdapterInfo) -> Self {
        let lacks = [
            (Lack::Hardware, !adapter.is_hardware()),
            (Lack::Subgroups, !adapter.subgroups),
            (Lack::LargeBindings, adapter.max_binding < LARGE_BINDING),
            (Lack::MemorySize, adapter.memory.is_none()),
        ];
        GpuReport {
            lacks: lacks.into_iter().filter(|(_, lacks)| *lacks).map(|(lack, _)| lack).collect(),
            name: adapter.name,
            kind: adapter.kind,
            api: adapter.api,
            driver: adapter.driver,
            memory_bytes: adapter.memory,
            subgroups: adapter.subgroups,
            max_binding_bytes: adapter.max_binding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_and_nothing_else() {
        let card = AdapterInfo {
            name: "Card".into(),
            kind: "discrete",
            api: "vulkan".into(),
            driver: "1.0".into(),
            subgroup_sizes: None,
            f16: false,
            cooperative_matrix: None,
            subgroups: true,
            max_binding: 2 << 30,
            memory: Some(8 << 30),
        };
        assert_eq!(GpuReport::from(card.clone()).lacks, []);
        let poor = AdapterInfo { kind: "cpu", subgroups: false, max_binding: 1 << 27, memory: None, ..card };
        let all = [Lack::Hardware, Lack::Subgroups, Lack::LargeBindings, Lack::MemorySize];
        assert_eq!(GpuReport::from(poor).lacks, all);
    }
}
