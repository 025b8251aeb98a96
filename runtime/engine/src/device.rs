//! What runs a model, by name.

use std::fmt;
use std::str::FromStr;

use silhak_cpu::default_threads;
use silhak_ops::KvElement;

use crate::{Error, LoadOptions};

/// What runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// A GPU, if there is one that is no software and the model or some layers of it fit; else the CPU. The log says
    /// which, and why.
    #[default]
    Auto,
    /// The CPU's SIMD kernels, with 8-bit activations.
    Cpu,
    /// A GPU, with the layers that do not fit on the CPU. Without a GPU it is an error; where one fails later, the model goes
    /// on without ([`crate::Model::device`]).
    Gpu,
    /// The scalar reference in float32: slow, and right by construction.
    Reference,
    /// The scalar reference with 8-bit activations, to tell the kernels' error from that of the rounding.
    ReferenceA8,
}

impl Device {
    /// All devices and their names.
    pub const ALL: [(Device, &str); 5] = [
        (Device::Auto, "auto"),
        (Device::Cpu, "cpu"),
        (Device::Gpu, "gpu"),
        (Device::Reference, "reference"),
        (Device::ReferenceA8, "reference-a8"),
    ];

    /// Threads of the CPU's kernels; `None` for the references, which take what the machine has.
    pub(crate) fn threads(self, options: &LoadOptions) -> Option<usize> {
        match self {
            Device::Auto | Device::Cpu | Device::Gpu => Some(options.threads.unwrap_or_else(default_threads).get()),
            Device::Reference | Device::ReferenceA8 => None,
        }
    }

    /// How keys and values are stored: in half precision, but for the float32 reference, where the options say nothing.
    pub(crate) fn kv_element(self, options: &LoadOptions) -> KvElement {
        options.kv_element.unwrap_or(match self {
            Device::Reference => KvElement::F32,
            Device::Auto | Device::Cpu | Device::Gpu | Device::ReferenceA8 => KvElement::F16,
        })
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
