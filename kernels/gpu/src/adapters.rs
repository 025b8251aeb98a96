//! Listing and choosing adapters.

use wgpu::{
    Adapter, Backends, DeviceType, Features, Instance, InstanceDescriptor, InstanceFlags, MemoryBudgetThresholds,
};

use crate::{CooperativeMatrix, GpuError, memory};

/// An adapter of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// The card's name.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub kind: &'static str,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub api: String,
    /// The driver and its version, where the API tells them.
    pub driver: String,
    /// Whether it has subgroup operations.
    pub subgroups: bool,
    /// Fewest and most lanes of a subgroup, where it has them.
    pub subgroup_sizes: Option<(u32, u32)>,
    /// Whether shaders can calculate with half floats.
    pub f16: bool,
    /// Rows and columns of the matrices that its subgroups multiply together, where it has such that we use.
    pub cooperative_matrix: Option<u32>,
    /// Most bytes of a buffer that a kernel can see at once.
    pub max_binding: u64,
    /// Bytes of the memory that it works in, where the API tells them.
    pub memory: Option<u64>,
}

impl AdapterInfo {
    /// Whether it is a card or part of the processor, and not a program that runs on the CPU.
    pub fn is_hardware(&self) -> bool {
        matches!(self.kind, "discrete" | "integrated")
    }
}

/// The adapters of this machine, in the order in which one is chosen: discrete cards first, software last.
pub fn adapters() -> Vec<AdapterInfo> {
    sorted(&instance()).iter().map(info).collect()
}

pub(crate) fn instance() -> Instance {
    // OpenGL has no compute worth using.
    instance_of(Backends::VULKAN | Backends::METAL | Backends::DX12)
}

/// An instance whose adapter does nothing.
#[cfg(feature = "noop")]
pub(crate) fn noop_instance() -> Instance {
    instance_of(Backends::NOOP)
}

fn instance_of(backends: Backends) -> Instance {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    // The environment must not switch on checks of every call.
    descriptor.flags = InstanceFlags::empty();
    // A card whose memory is full is refused more, rather than slowed down by moving things in and out of it.
    descriptor.memory_budget_thresholds =
        MemoryBudgetThresholds { for_resource_creation: Some(97), for_device_loss: None };
    descriptor.backend_options.noop.enable = backends.contains(Backends::NOOP);
    Instance::new(descriptor)
}

/// The adapter whose name is `wanted`, or else contains it, in any case; without a name the first that is not software, or the first.
pub(crate) fn choose(instance: &Instance, wanted: Option<&str>) -> Result<Adapter, GpuError> {
    let adapters = sorted(instance);
    let Some(wanted) = wanted else { return adapters.into_iter().next().ok_or(GpuError::NoAdapter) };
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let has_wanted = |name: &String| name.to_lowercase().contains(&wanted.to_lowercase());
    match names.iter().position(|name| name == wanted).or_else(|| names.iter().position(has_wanted)) {
        Some(at) => adapters.into_iter().nth(at).ok_or(GpuError::NoAdapter),
        None if names.is_empty() => Err(GpuError::NoAdapter),
        None => Err(GpuError::UnknownAdapter { wanted: wanted.into(), there: names.join(", ") }),
    }
}

pub(crate) fn info(adapter: &Adapter) -> AdapterInfo {
    let (info, features) = (adapter.get_info(), adapter.features());
    let subgroups = features.contains(Features::SUBGROUP);
    AdapterInfo {
        kind: kind(info.device_type).1,
        api: info.backend.to_string(),
        driver: [info.driver, info.driver_info].join(" ").trim().to_owned(),
        name: info.name,
        subgroups,
        subgroup_sizes: subgroups.then_some((info.subgroup_min_size, info.subgroup_max_size)),
        f16: features.contains(Features::SHADER_F16),
        cooperative_matrix: CooperativeMatrix::of(adapter).map(|found| found.matrices.size()),
        max_binding: adapter.limits().max_storage_buffer_binding_size,
        memory: memory::bytes(adapter),
    }
}

fn sorted(instance: &Instance) -> Vec<Adapter> {
    let mut adapters = pollster::block_on(instance.enumerate_adapters(Backends::all()));
    adapters.sort_by_key(|adapter| kind(adapter.get_info().device_type).0);
    adapters
}

/// Rank and name.
fn kind(device_type: DeviceType) -> (u8, &'static str) {
    match device_type {
        DeviceType::DiscreteGpu => (0, "discrete"),
        DeviceType::IntegratedGpu => (1, "integrated"),
        DeviceType::VirtualGpu => (2, "virtual"),
        DeviceType::Other => (3, "other"),
        DeviceType::Cpu => (4, "cpu"),
    }
}
