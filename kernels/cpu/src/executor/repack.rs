//! Weights repacked into panels by the team.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use memmap2::MmapMut;
use silhak_ops::{Error, Plan, Weight};

use super::buffer::Shared;
use super::storage::Storages;
use crate::linear::{ROWS, repack};
use crate::team::Team;

/// How weights are repacked into the layout that kernels read fastest. That takes the memory of the weights once more, and
/// the time to read and to write them once.
#[derive(Clone, Default)]
pub struct Repack {
    /// Called with the bytes of each weight that was repacked and is not read again, so that whoever mapped them can give
    /// their pages back. On any thread of the team.
    pub release: Option<Arc<Release>>,
}

/// What is told of bytes that are not read again.
pub type Release = dyn Fn(&[u8]) + Send + Sync;

impl fmt::Debug for Repack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repack").field("release", &self.release.is_some()).finish()
    }
}

impl Repack {
    /// The bytes of each weight as linears read them: repacked, or the caller's.
    pub(super) fn run(
        &self,
        plan: &Plan,
        storages: &Storages,
        weights: &[Bytes],
        team: &mut Team,
    ) -> Result<Vec<Bytes>, Error> {
        let (places, bytes) = storages.panels(plan);
        if bytes == 0 {
            return Ok(weights.to_vec());
        }
        let mut memory = panel_memory(bytes)?;
        let pieces = pieces(plan.weights(), &places)?;
        let mut left = vec![0; places.len()];
        pieces.iter().for_each(|piece| left[piece.weight] += 1);
        let left: Vec<AtomicUsize> = left.into_iter().map(AtomicUsize::new).collect();
        let (panels, next) = (Shared::new(&mut memory), AtomicUsize::new(0));
        team.run(|_| {
            while let Some(Piece { weight, from, to }) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (bytes, Weight { format, cols, .. }) = (&weights[*weight], &plan.weights()[*weight]);
                // SAFETY: a piece is taken once, and no two overlap.
                repack(*format, &bytes[from.clone()], *cols, unsafe { panels.get_mut(to.clone()) });
                let is_last = left[*weight].fetch_sub(1, Ordering::AcqRel) == 1;
                if let Some(release) = &self.release
                    && is_last
                    && !storages.is_in_place(*weight)
                {
                    release(bytes);
                }
            }
            Ok(())
        })?;
        let memory = memory.make_read_only().map_err(|_| out_of_memory(bytes))?;
        let memory = Bytes::from_owner(memory);
        let stored = |(place, weight): (Option<Range<usize>>, &Bytes)| match place {
            Some(place) => memory.slice(place),
            None => weight.clone(),
        };
        Ok(places.into_iter().zip(weights).map(stored).collect())
    }
}

/// Some panels of a weight.
struct Piece {
    weight: usize,
    /// Where its rows are among the weight's bytes.
    from: Range<usize>,
    /// Where the panels are among all.
    to: Range<usize>,
}

/// Enough that threads do not wait for each other to take one, and few enough that they end together.
const PIECE_BYTES: usize = 1 << 20;

/// The pieces of weights that have a place for their panels.
fn pieces(weights: &[Weight], places: &[Option<Range<usize>>]) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    for (i, (weight, place)) in weights.iter().zip(places).enumerate() {
        let Some(place) = place else { continue };
        let (bytes, panel) = (weight.bytes()?, ROWS * weight.row_bytes()?);
        let piece = PIECE_BYTES.next_multiple_of(panel.max(1));
        pieces.extend((0..place.len()).step_by(piece).map(|start| Piece {
            weight: i,
            from: start..bytes.min(start + piece),
            to: place.start + start..place.end.min(place.start + start + piece),
        }));
    }
    Ok(pieces)
}

/// Zeroed memory in pages of its own, large ones where the system has them: a mat-vec walks through all of it.
fn panel_memory(bytes: usize) -> Result<MmapMut, Error> {
    let memory = MmapMut::map_anon(bytes).map_err(|_| out_of_memory(bytes))?;
    #[cfg(target_os = "linux")]
    if let Err(error) = memory.advise(memmap2::Advice::HugePage) {
        tracing::debug!(%error, "weights are in small pages, which is a little slower");
    }
    Ok(memory)
}

fn out_of_memory(bytes: usize) -> Error {
    Error::OutOfMemory { what: "repacked weights", bytes }
}
