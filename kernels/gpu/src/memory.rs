//! How much memory a card has.

use wgpu::Adapter;

/// Bytes of the memory that the card works in; `None` where the API does not tell.
#[cfg(not(target_vendor = "apple"))]
#[allow(unsafe_code, reason = "wgpu tells no memory sizes; Vulkan does")]
pub(crate) fn bytes(adapter: &Adapter) -> Option<u64> {
    /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
    const DEVICE_LOCAL: u32 = 1;
    // SAFETY: the handle is only asked for its properties, while wgpu keeps it alive.
    let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = adapter.shared_instance().raw_instance();
    // SAFETY: the physical device belongs to this instance.
    let properties = unsafe { instance.get_physical_device_memory_properties(adapter.raw_physical_device()) };
    let heaps = properties.memory_heaps_as_slice().iter();
    heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
}

/// Bytes of the memory that the card works in: Metal does not tell.
#[cfg(target_vendor = "apple")]
pub(crate) fn bytes(_: &Adapter) -> Option<u64> {
    None
}
