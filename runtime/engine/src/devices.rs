//! The devices that options ask for, opened.

use std::fmt::Write;
use std::path::{self, Path};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use silhak_cpu::{Caps, Cpu, CpuOptions, PanelCache, Release, Repack};
use silhak_gguf::FileFacts;
use silhak_ops::Backend;
use silhak_ops::reference::Reference;

use crate::{Device, Error, LoadOptions, ModelFile, SystemMemory, gpu};

/// Where the parts of a model can run.
pub(crate) struct Devices {
    /// What has the layers that are not on a GPU.
    pub(crate) host: Host,
    /// The GPU, where one is used.
    pub(crate) card: Option<Card>,
}

/// The machine's own processor.
pub(crate) struct Host {
    /// Uses weights where they lie.
    pub(crate) in_place: Arc<dyn Backend>,
    /// Repacks them.
    pub(crate) repacking: Option<Repacking>,
}

/// A processor whose kernels are faster with repacked weights.
pub(crate) struct Repacking {
    pub(crate) backend: Arc<dyn Backend>,
    /// Bytes that a model may take with them.
    pub(crate) budget: u64,
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
    /// Opens what `options` ask for, to run a model of `file`.
    ///
    /// # Errors
    /// There is no such GPU, or no such instruction set.
    pub(crate) fn open(options: &LoadOptions, file: &ModelFile) -> Result<Self, Error> {
        let card = match options.device {
            Device::Gpu => Some(gpu::open(options)?),
            Device::Auto => gpu::find(options),
            Device::Cpu | Device::Reference | Device::ReferenceA8 => None,
        };
        Ok(Devices { host: Host::open(options, file)?, card })
    }

    /// A GPU that is open already, and the CPU.
    pub(crate) fn with_gpu(gpu: Arc<dyn Backend>, options: &LoadOptions, file: &ModelFile) -> Result<Self, Error> {
        let card = Card { backend: gpu, budget: options.gpu_memory, is_wanted: true, bandwidth: None };
        Ok(Devices { host: Host::open(options, file)?, card: Some(card) })
    }
}

impl Host {
    /// A backend that knows one way.
    pub(crate) fn of(backend: impl Backend + 'static) -> Self {
        Host { in_place: Arc::new(backend), repacking: None }
    }

    fn open(options: &LoadOptions, file: &ModelFile) -> Result<Self, Error> {
        match options.device {
            Device::Auto | Device::Cpu | Device::Gpu => {}
            Device::Reference => return Ok(Host::of(Reference { quantize_activations: false })),
            Device::ReferenceA8 => return Ok(Host::of(Reference { quantize_activations: true })),
        }
        let caps = options.isa.map(|isa| Caps::with_isa(isa).ok_or(Error::IsaNotHere { isa })).transpose()?;
        let in_place = CpuOptions { threads: options.threads, caps, repack: None };
        let cache = options.panel_cache.as_ref().and_then(|folder| panel_cache(folder, file.gguf().files()));
        let budget = match options.repack {
            Some(repack) => repack.then_some(u64::MAX),
            None if cache.is_some() => Some(u64::MAX),
            // What is repacked cannot be dropped and read again, so some room is left for all else.
            None => SystemMemory::now().available.map(|bytes| bytes / 4 * 3),
        };
        let repacking = budget.map(|budget| {
            let release: Arc<Release> = Arc::new(file.gguf().releaser());
            let repack = Some(Repack { release: Some(release), cache });
            Repacking { backend: Arc::new(Cpu::new(CpuOptions { repack, ..in_place.clone() })), budget }
        });
        Ok(Host { in_place: Arc::new(Cpu::new(in_place)), repacking })
    }
}

/// Where the panels of a model in `files` are kept; `None` where nothing would tell that the files changed.
fn panel_cache(folder: &Path, files: &[FileFacts]) -> Option<PanelCache> {
    let source = path::absolute(&files.first()?.path).ok()?;
    let mut identity = String::new();
    for FileFacts { bytes, modified, .. } in files {
        let modified = (*modified)?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        write!(identity, "{bytes} bytes of {modified}; ").ok()?;
    }
    Some(PanelCache { folder: folder.to_owned(), source, identity })
}
