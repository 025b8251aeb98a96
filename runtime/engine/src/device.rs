//! What runs a model.

use std::fmt;
use std::str::FromStr;

use silhak_cpu::{Caps, Cpu, CpuOptions, default_threads};
use silhak_ops::reference::Reference;
use silhak_ops::{Backend, KvElement};

use crate::{Error, LoadOptions};

/// What runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The fastest there is: now the CPU.
    #[default]
    Auto,
    /// The CPU's SIMD kernels, with 8-bit activations.
    Cpu,
    /// The scalar reference in float32: slow, and right by construction.
    Reference,
    /// The scalar reference with 8-bit activations, to tell the kernels' error from that of the rounding.
    ReferenceA8,
}

impl Device {
    /// All devices and their names.
    pub const ALL: [(Device, &str); 4] = [
        (Device::Auto, "auto"),
        (Device::Cpu, "cpu"),
        (Device::Reference, "reference"),
        (Device::ReferenceA8, "reference-a8"),
    ];

    /// The backend that `options` ask for.
    pub(crate) fn backend(options: &LoadOptions) -> Result<Box<dyn Backend>, Error> {
        let caps = |isa| Caps::with_isa(isa).ok_or(Error::IsaNotHere { isa });
        Ok(match options.device {
            Device::Auto | Device::Cpu => {
                let caps = options.isa.map(caps).transpose()?;
                Box::new(Cpu::new(CpuOptions { threads: options.threads, caps }))
            }
            Device::Reference => Box::new(Reference { quantize_activations: false }),
            Device::ReferenceA8 => Box::new(Reference { quantize_activations: true }),
        })
    }

    /// Threads of the CPU's kernels; `None` for the references, which take what the machine has.
    pub(crate) fn threads(self, options: &LoadOptions) -> Option<usize> {
        match self {
            Device::Auto | Device::Cpu => Some(options.threads.unwrap_or_else(default_threads).get()),
            Device::Reference | Device::ReferenceA8 => None,
        }
    }

    /// Keys and values in half precision, but for the float32 reference.
    pub(crate) fn kv_element(self) -> KvElement {
        match self {
            Device::Reference => KvElement::F32,
            Device::Auto | Device::Cpu | Device::ReferenceA8 => KvElement::F16,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Device::ALL.iter().find(|(device, _)| device == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Device::ALL.iter().find(|(_, n)| *n == name);
        found.map(|(device, _)| *device).ok_or_else(|| Error::UnknownDevice { found: name.into() })
    }
}
