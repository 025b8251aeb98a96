//! An open device: what is asked of it, and whether it still answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use wgpu::{
    DeviceDescriptor, DeviceType, ErrorFilter, ExperimentalFeatures, Features, MemoryHints, PollError, PollStatus,
    PollType, Queue, SubmissionIndex, Trace,
};

use crate::budget::Budget;
use crate::faults::Faults;
use crate::{Caps, GpuError, GpuOptions, adapters};

/// An open device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: Queue,
    pub(crate) caps: Caps,
    pub(crate) name: String,
    pub(crate) budget: Arc<Budget>,
    /// Whether kernels are timed.
    pub(crate) timestamps: bool,
    faults: Arc<Faults>,
    patience: Duration,
    /// Last, so that what it holds is dropped last.
    _burial: Burial,
}

/// While a batch runs, its device is asked this often whether it still lives.
pub(crate) const GLANCE: Duration = Duration::from_millis(100);

impl Device {
    pub(crate) fn open(adapter: &wgpu::Adapter, options: &GpuOptions) -> Result<Self, GpuError> {
        let (info, limits) = (adapters::info(adapter), adapter.limits());
        let caps = Caps::new(adapter, &options.without);
        let mut required_features = Features::empty();
        required_features.set(Features::SUBGROUP, caps.subgroups);
        let matrices = Features::SHADER_F16 | Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        required_features.set(matrices, caps.cooperative_matrix.is_some());
        let timestamps = options.profile && adapter.features().contains(Features::TIMESTAMP_QUERY);
        required_features.set(Features::TIMESTAMP_QUERY, timestamps);
        let descriptor = DeviceDescriptor {
            label: Some("silhak"),
            required_features,
            required_limits: limits,
            experimental_features: experimental_features(&caps),
            // Weights are large and few.
            memory_hints: MemoryHints::MemoryUsage,
            trace: Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| GpuError::Open { adapter: info.name.clone(), reason: error.to_string() })?;
        let faults = Faults::of(&device);
        if options.profile && !timestamps {
            tracing::warn!(adapter = info.name, "no profile: this GPU has no timestamps");
        }
        Ok(Device {
            _burial: Burial { held: Some((device.clone(), queue.clone())), faults: Arc::clone(&faults) },
            device,
            queue,
            caps,
            name: info.name,
            budget: Budget::new(options.memory_limit),
            timestamps,
            faults,
            patience: options.patience.unwrap_or_else(|| patience(adapter.get_info().device_type)),
        })
    }

    /// Runs `make`, and turns what the driver reports meanwhile into an error.
    pub(crate) fn checked<T>(&self, what: &'static str, bytes: u64, make: impl FnOnce() -> T) -> Result<T, GpuError> {
        let validation = self.device.push_error_scope(ErrorFilter::Validation);
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let made = make();
        let (memory, validation) = (pollster::block_on(memory.pop()), pollster::block_on(validation.pop()));
        self.health()?;
        match memory.or(validation) {
            Some(error) => Err(self.refusal(what, bytes, &error)),
            None => Ok(made),
        }
    }

    /// An error where the device was lost, or refused something that nobody waited for.
    pub(crate) fn health(&self) -> Result<(), GpuError> {
        if let Some(reason) = self.faults.lost() {
            return Err(GpuError::Lost { adapter: self.name.clone(), reason });
        }
        self.faults.take_refused().map_or(Ok(()), |error| Err(self.refusal("a command", 0, &error)))
    }

    fn refusal(&self, what: &'static str, bytes: u64, error: &wgpu::Error) -> GpuError {
        let adapter = self.name.clone();
        match error {
            wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory { adapter, what, bytes },
            other => GpuError::Refused { adapter, what: what.into(), reason: other.to_string() },
        }
    }

    /// Waits until a submission is done, or the device is lost: never for ever.
    pub(crate) fn wait(&self, submission: &SubmissionIndex) -> Result<(), GpuError> {
        let begun = Instant::now();
        loop {
            let polled = poll(&self.device, submission, GLANCE.min(self.patience));
            self.health()?;
            match polled {
                Ok(_) => return Ok(()),
                Err(Unfinished::Running) if begun.elapsed() < self.patience => continue,
                Err(Unfinished::Running) => {
                    self.lose(format!("a batch did not end within {:.1} s", self.patience.as_secs_f32()));
                }
                Err(Unfinished::Lost(reason)) => self.lose(reason),
            }
            return self.health();
        }
    }

    /// Gives the device up. What waits for it ends with an error.
    pub(crate) fn lose(&self, reason: String) {
        tracing::warn!(adapter = self.name, reason, "GPU lost");
        self.faults.lose(reason);
        self.device.destroy();
    }
}

/// What wgpu wants to be told before it lets cooperative matrices be used.
fn experimental_features(caps: &Caps) -> ExperimentalFeatures {
    if caps.cooperative_matrix.is_none() {
        return ExperimentalFeatures::disabled();
    }
    #[allow(unsafe_code, reason = "cooperative matrices count as experimental")]
    // SAFETY: what wgpu does not check of them is where their values lie. The one kernel that has them loads and stores
    // whole matrices within its tiles in shared memory, whose sizes are constants of the kernel.
    unsafe {
        ExperimentalFeatures::enabled()
    }
}

/// How long a batch may run. A driver of hardware resets a card that hangs after some seconds; this is for those that do
/// not. A driver in software may take minutes for a long prompt.
fn patience(device_type: DeviceType) -> Duration {
    if device_type == DeviceType::Cpu { Duration::from_secs(3600) } else { Duration::from_secs(60) }
}

/// Why a submission is not done.
#[derive(Debug, PartialEq)]
enum Unfinished {
    Running,
    Lost(String),
}

fn poll(device: &wgpu::Device, submission: &SubmissionIndex, time: Duration) -> Result<PollStatus, Unfinished> {
    let poll = PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(time) };
    survive(|| device.poll(poll))
}

/// wgpu panics where a driver reports a loss while it is polled. That is the loss of a card, not of the host.
fn survive(poll: impl FnOnce() -> Result<PollStatus, PollError>) -> Result<PollStatus, Unfinished> {
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(PollError::Timeout)) => Err(Unfinished::Running),
        Ok(Err(error)) => Err(Unfinished::Lost(error.to_string())),
        Err(panic) => {
            let reason = panic.downcast_ref::<String>().map_or("the driver reported a loss", |text| text.as_str());
            Err(Unfinished::Lost(reason.to_owned()))
        }
    }
}

/// Drops a lost device in a thread of its own: wgpu waits for its queue then, and a card that hangs never answers.
#[derive(Debug)]
struct Burial {
    held: Option<(wgpu::Device, Queue)>,
    faults: Arc<Faults>,
}

impl Drop for Burial {
    fn drop(&mut self) {
        if self.faults.lost().is_some() {
            let held = self.held.take();
            // Without a thread it is dropped here.
            let _ = thread::Builder::new().name("silhak-gpu-lost".into()).spawn(move || drop(held));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    #[test]
    fn whatever_a_poll_comes_to_it_does_not_end_the_host() {
        assert_eq!(survive(|| Ok(PollStatus::QueueEmpty)), Ok(PollStatus::QueueEmpty));
        assert_eq!(survive(|| Err(PollError::Timeout)), Err(Unfinished::Running));
        assert!(matches!(survive(|| Err(PollError::WrongSubmissionIndex(2, 1))), Err(Unfinished::Lost(_))));
        let panics = || panic_any("Error in Device::poll: Parent device is lost".to_owned());
        assert_eq!(survive(panics), Err(Unfinished::Lost("Error in Device::poll: Parent device is lost".into())));
    }
}
