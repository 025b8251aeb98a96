//! An open device, and what it has to say about failures.

use std::sync::{Arc, Mutex, PoisonError};

use wgpu::{
    DeviceDescriptor, ErrorFilter, ExperimentalFeatures, Features, MemoryHints, PollType, Queue, SubmissionIndex, Trace,
};

use crate::{Caps, Feature, GpuError, adapters};

/// An open device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: Queue,
    pub(crate) caps: Caps,
    pub(crate) name: String,
    faults: Arc<Faults>,
}

/// What the driver reported outside of any call.
#[derive(Debug, Default)]
struct Faults {
    lost: Mutex<Option<String>>,
    refused: Mutex<Option<String>>,
}

impl Device {
    pub(crate) fn open(adapter: &wgpu::Adapter, without: &[Feature]) -> Result<Self, GpuError> {
        let (info, limits) = (adapters::info(adapter), adapter.limits());
        let caps = Caps::new(adapter.features(), &limits, without);
        let mut required_features = Features::empty();
        required_features.set(Features::SUBGROUP, caps.subgroups);
        let descriptor = DeviceDescriptor {
            label: Some("silhak"),
            required_features,
            required_limits: limits,
            experimental_features: ExperimentalFeatures::disabled(),
            // Weights are large and few.
            memory_hints: MemoryHints::MemoryUsage,
            trace: Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| GpuError::Open { adapter: info.name.clone(), reason: error.to_string() })?;
        let faults = Arc::new(Faults::default());
        let lost = Arc::clone(&faults);
        device.set_device_lost_callback(move |_, reason| keep(&lost.lost, reason));
        let refused = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| keep(&refused.refused, error.to_string())));
        Ok(Device { device, queue, caps, name: info.name, faults })
    }

    /// Runs `make`, and turns what the driver reports meanwhile into an error.
    pub(crate) fn checked<T>(&self, what: &'static str, bytes: u64, make: impl FnOnce() -> T) -> Result<T, GpuError> {
        let validation = self.device.push_error_scope(ErrorFilter::Validation);
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let made = make();
        let (memory, validation) = (pollster::block_on(memory.pop()), pollster::block_on(validation.pop()));
        if memory.is_some() {
            return Err(GpuError::OutOfMemory { adapter: self.name.clone(), what, bytes });
        }
        if let Some(error) = validation {
            return Err(GpuError::Refused { adapter: self.name.clone(), what: what.into(), reason: error.to_string() });
        }
        self.health()?;
        Ok(made)
    }

    /// An error where the device was lost, or refused something that nobody waited for.
    pub(crate) fn health(&self) -> Result<(), GpuError> {
        let adapter = || self.name.clone();
        if let Some(reason) = read(&self.faults.lost) {
            return Err(GpuError::Lost { adapter: adapter(), reason });
        }
        match read(&self.faults.refused) {
            Some(reason) => Err(GpuError::Refused { adapter: adapter(), what: "a command".into(), reason }),
            None => Ok(()),
        }
    }

    /// Waits until a submission is done.
    pub(crate) fn wait(&self, submission: SubmissionIndex) -> Result<(), GpuError> {
        let waited = self.device.poll(PollType::Wait { submission_index: Some(submission), timeout: None });
        self.health()?;
        match waited {
            Ok(_) => Ok(()),
            Err(error) => Err(GpuError::Lost { adapter: self.name.clone(), reason: error.to_string() }),
        }
    }
}

/// The first fault is the one to tell; what follows is its consequence.
fn keep(slot: &Mutex<Option<String>>, reason: String) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
}

fn read(slot: &Mutex<Option<String>>) -> Option<String> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
