//! Choosing and opening a GPU.

use std::path::Path;
use std::sync::Arc;

use silhak_gpu::{AdapterInfo, Gpu, GpuError, GpuOptions, adapters};

use crate::devices::Card;
use crate::{Device, Error, LoadOptions};

/// The GPU that the options name, or else the first; software too.
pub(crate) fn open(options: &LoadOptions) -> Result<Card, Error> {
    let is_card = adapter_for(options).is_some_and(|adapter| adapter.is_hardware());
    Ok(card(options, options.adapter.clone(), is_card, true)?)
}

/// A GPU that is worth using without having been asked for, if there is one. The log tells why there is none.
pub(crate) fn find(options: &LoadOptions) -> Option<Card> {
    if !may_have_hardware() {
        tracing::info!("running on the CPU: the system shows no GPU");
        return None;
    }
    let all = adapters();
    let Some(adapter) = all.iter().find(|adapter| would_use(adapter, options)) else {
        let found = all.iter().map(|adapter| format!("{} ({})", adapter.name, adapter.kind)).collect::<Vec<_>>();
        tracing::info!(found = found.join(", "), "running on the CPU: no GPU is there, or none but software");
        return None;
    };
    match card(options, Some(adapter.name.clone()), true, false) {
        Ok(card) => Some(card),
        Err(error) => {
            tracing::warn!(%error, "running on the CPU: the GPU cannot be used");
            None
        }
    }
}

/// The GPU that a model would be loaded to with these options, if some of it fits there.
pub fn adapter_for(options: &LoadOptions) -> Option<AdapterInfo> {
    let may_be = options.device == Device::Gpu || may_have_hardware();
    may_be.then(adapters)?.into_iter().find(|adapter| would_use(adapter, options))
}

/// Whether there is any use in loading drivers to look for a card. Linux shows each as a file; elsewhere only drivers know.
fn may_have_hardware() -> bool {
    const LINUX: [&str; 5] = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg", "/dev/kgsl-3d0", "/dev/mali0"];
    !cfg!(target_os = "linux") || LINUX.iter().any(|file| Path::new(file).exists())
}

/// Software shares the CPU with kernels that are faster; it is used only where it is asked for.
fn would_use(adapter: &AdapterInfo, options: &LoadOptions) -> bool {
    let is_named = |part: &String| adapter.name.to_lowercase().contains(&part.to_lowercase());
    let may_be = match options.device {
        Device::Auto => adapter.is_hardware(),
        Device::Gpu => true,
        Device::Cpu | Device::Reference | Device::ReferenceA8 => false,
    };
    may_be && options.adapter.as_ref().is_none_or(is_named)
}

fn card(options: &LoadOptions, adapter: Option<String>, is_card: bool, is_wanted: bool) -> Result<Card, GpuError> {
    // On a driver in software a measurement would take longer than it could ever win back.
    let kernel_cache = options.kernel_cache.clone().filter(|_| is_card);
    let gpu = Gpu::open(&GpuOptions { adapter, profile: options.profile, kernel_cache, ..GpuOptions::default() })?;
    let budget = options.gpu_memory.or_else(|| gpu.info().memory.map(without_reserve));
    // Before the weights come, there is room to measure in.
    let bandwidth = options.profile.then(|| gpu.read_bandwidth()).transpose()?;
    Ok(Card { backend: Arc::new(gpu), budget, is_wanted, bandwidth })
}

/// Of a card's memory, what a model may take: the screen and the driver need some of it too.
fn without_reserve(memory: u64) -> u64 {
    memory - memory / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_is_never_used_unasked() {
        let adapter = |name: &str, kind| AdapterInfo {
            name: name.into(),
            kind,
            api: "vulkan".into(),
            driver: String::new(),
            subgroup_sizes: None,
            f16: false,
            cooperative_matrix: None,
            subgroups: true,
            max_binding: 1 << 27,
            memory: None,
        };
        let used = |adapter: &AdapterInfo, device, name: Option<&str>| {
            would_use(adapter, &LoadOptions { device, adapter: name.map(str::to_owned), ..LoadOptions::default() })
        };
        let card = adapter("Card 5000", "discrete");
        assert!(used(&card, Device::Auto, None) && used(&card, Device::Gpu, Some("card")));
        assert!(!used(&card, Device::Auto, Some("6000")) && !used(&card, Device::Cpu, None));
        for kind in ["cpu", "virtual", "other"] {
            let software = adapter("llvmpipe", kind);
            assert!(!used(&software, Device::Auto, Some("llvmpipe")) && used(&software, Device::Gpu, None));
        }
    }
}
