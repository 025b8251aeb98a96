//! What a driver reports outside of any call, kept until somebody asks.

use std::sync::{Arc, Mutex, PoisonError};

use wgpu::DeviceLostReason;

/// The faults of a device. Its handlers only take notes: they run in whatever thread the driver chooses, and a panic there
/// would take the host down.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    lost: Mutex<Option<String>>,
    refused: Mutex<Option<wgpu::Error>>,
}

impl Faults {
    /// Listens to a device.
    pub(crate) fn of(device: &wgpu::Device) -> Arc<Self> {
        let faults = Arc::new(Faults::default());
        let lost = Arc::clone(&faults);
        device.set_device_lost_callback(move |why, reason| {
            lost.lose(if why == DeviceLostReason::Destroyed { "it was given up".into() } else { reason });
        });
        let refused = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| keep_first(&refused.refused, error)));
        faults
    }

    /// Notes that the device is lost, which is for good.
    pub(crate) fn lose(&self, reason: String) {
        keep_first(&self.lost, reason);
    }

    /// Why the device was lost, if it was.
    pub(crate) fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the driver refused while nobody waited for it: told once.
    pub(crate) fn take_refused(&self) -> Option<wgpu::Error> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The first fault is the one to tell; what follows is its consequence.
fn keep_first<T>(slot: &Mutex<Option<T>>, fault: T) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_for_good_and_its_first_reason_stays() {
        let faults = Faults::default();
        assert_eq!(faults.lost(), None);
        faults.lose("reset".into());
        faults.lose("its consequence".into());
        assert_eq!([faults.lost(), faults.lost()], [Some("reset".to_owned()), Some("reset".to_owned())]);
        assert!(faults.take_refused().is_none());
    }
}
