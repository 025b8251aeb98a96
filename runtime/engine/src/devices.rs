//! The devices that options ask for, opened.

use std::sync::Arc;

use silhak_cpu::{Caps, Cpu, CpuOptions};
use silhak_ops::Backend;
use silhak_ops::reference::Reference;

use crate::{Device, Error, LoadOptions, gpu};

/// Where the parts of a model can run.
pub(crate) struct Devices {
    /// What has the layers that are not on a GPU.
    pub(crate) host: Arc<dyn Backend>,
    /// The GPU, where one is used.
    pub(crate) card: Option<Card>,
}

/// A GPU.
pub(crate) struct Card {
    pub(crate) backend: Arc<dyn Backend>,
    /// Bytes that a model may take of it; none where that is not known.
    pub(crate) budget: Option<u64>,
    /// Whether it is an error not to use it.
    pub(crate) is_wanted: bool,
    /// Bytes per second that its memory gives, where kernels are timed.
    pub(crate) bandwidth: Option<f64>,
}

impl Devices {
    /// Opens what `options` ask for.
    ///
    /// # Errors
    /// There is no such GPU, or no such instruction set.
    pub(crate) fn open(options: &LoadOptions) -> Result<Self, Error> {
        let card = match options.device {
            Device::Gpu => Some(gpu::open(options)?),
            Device::Auto => gpu::find(options),
            Device::Cpu | Device::Reference | Device::ReferenceA8 => None,
        };
        Ok(Devices { host: host(options)?, card })
    }

    /// A GPU that is open already, and the CPU.
    pub(crate) fn with_gpu(backend: Arc<dyn Backend>, options: &LoadOptions) -> Result<Self, Error> {
        let card = Card { backend, budget: options.gpu_memory, is_wanted: true, bandwidth: None };
        Ok(Devices { host: host(options)?, card: Some(card) })
    }
}

fn host(options: &LoadOptions) -> Result<Arc<dyn Backend>, Error> {
    let caps = |isa| Caps::with_isa(isa).ok_or(Error::IsaNotHere { isa });
    Ok(match options.device {
        Device::Auto | Device::Cpu | Device::Gpu => {
            let caps = options.isa.map(caps).transpose()?;
            Arc::new(Cpu::new(CpuOptions { threads: options.threads, caps }))
        }
        Device::Reference => Arc::new(Reference { quantize_activations: false }),
        Device::ReferenceA8 => Arc::new(Reference { quantize_activations: true }),
    })
}
