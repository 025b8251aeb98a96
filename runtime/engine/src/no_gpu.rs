//! What stands for GPUs in a build without the cargo feature `gpu`.

use crate::devices::Card;
use crate::{Error, LoadOptions};

pub(crate) fn open(_: &LoadOptions) -> Result<Card, Error> {
    Err(Error::NoGpuCode)
}

pub(crate) fn find(_: &LoadOptions) -> Option<Card> {
    tracing::info!("running on the CPU: this build has no code for GPUs");
    None
}
