//! Weights repacked into panels by the team.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use memmap2::MmapMut;
use silhak_ops::{Error, Plan, Weight};

use super::buffer::Shared;
use super::panel_cache::{Keeping, PanelCache};
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
    /// Keeps the panels in a file and maps that, so that the next one who loads the model has them at once. It is an error
    /// where it cannot be written.
    pub cache: Option<PanelCache>,
}

/// What is told of bytes that are not read again.
pub type Release = dyn Fn(&[u8]) + Send + Sync;

impl fmt::Debug for Repack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repack").field("release", &self.release.is_some()).field("cache", &self.cache).finish()
    }
}

/// Weights as linears read them.
#[derive(Default)]
pub(super) struct Repacked {
    /// By number: panels, or the caller's bytes.
    pub(super) weights: Vec<Bytes>,
    /// Bytes of panels in memory.
    pub(super) held: usize,
    /// Bytes of panels in a mapped file.
    pub(super) mapped: usize,
    /// Whoever is still writing that file.
    pub(super) keeping: Option<Keeping>,
}

impl Repack {
    /// Repacks what `storages` say.
    pub(super) fn run(
        &self,
        plan: &Plan,
        storages: &Storages,
        weights: &[Bytes],
        team: &mut Team,
    ) -> Result<Repacked, Error> {
        let (places, len) = storages.panels(plan);
        let repacked = |panels: Bytes| {
            let stored = |(place, weight): (&Option<Range<usize>>, &Bytes)| match place {
                Some(place) => panels.slice(place.clone()),
                None => weight.clone(),
            };
            Repacked { weights: places.iter().zip(weights).map(stored).collect(), ..Repacked::default() }
        };
        if let Some(panels) = self.kept(plan, storages) {
            return Ok(Repacked { mapped: len, ..repacked(panels) });
        }
        if len == 0 {
            return Ok(repacked(Bytes::new()));
        }
        let pieces = pieces(plan.weights(), &places)?;
        let work = Work { plan, storages, weights, pieces, repack: self, team };
        if let Some(cache) = &self.cache {
            let (panels, keeping) = work.into_file(cache, &contents(plan.weights(), &places))?;
            return Ok(Repacked { mapped: len, keeping: Some(keeping), ..repacked(panels) });
        }
        Ok(Repacked { held: len, ..repacked(work.into_memory(len)?) })
    }

    /// The panels of an earlier run.
    pub(super) fn kept(&self, plan: &Plan, storages: &Storages) -> Option<Bytes> {
        let (places, len) = storages.panels(plan);
        self.cache.as_ref().filter(|_| len > 0)?.find(&contents(plan.weights(), &places), len)
    }
}

/// What there is to be repacked, and who does it.
struct Work<'a> {
    plan: &'a Plan,
    storages: &'a Storages,
    weights: &'a [Bytes],
    pieces: Vec<Piece>,
    repack: &'a Repack,
    team: &'a mut Team,
}

impl Work<'_> {
    fn into_memory(mut self, len: usize) -> Result<Bytes, Error> {
        let mut memory = panel_memory(len)?;
        let panels = Shared::new(&mut memory);
        self.run(|weight, rows, to, _| {
            // SAFETY: a piece is taken once, and no two overlap.
            repack(weight.format, rows, weight.cols, unsafe { panels.get_mut(to) });
            Ok(())
        })?;
        Ok(Bytes::from_owner(memory.make_read_only().map_err(|_| out_of_memory(len))?))
    }

    fn into_file(mut self, cache: &PanelCache, contents: &str) -> Result<(Bytes, Keeping), Error> {
        let failed = |error: io::Error| Error::Backend {
            backend: "cpu".into(),
            message: format!(
                "cannot keep repacked weights in {}: {error}; make room there, or keep none",
                cache.folder.display()
            ),
        };
        let file = cache.begin(contents).map_err(failed)?;
        self.run(|weight, rows, to, panels| {
            panels.resize(to.len(), 0);
            repack(weight.format, rows, weight.cols, panels);
            file.write(panels, to.start).map_err(failed)
        })?;
        file.finish().map_err(failed)
    }

    /// Calls `put` for each piece: its weight, the rows, where their panels belong, and room of the thread's own.
    fn run(
        &mut self,
        put: impl Fn(&Weight, &[u8], Range<usize>, &mut Vec<u8>) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let Work { plan, storages, weights, pieces, repack, team } = self;
        let mut left = vec![0; weights.len()];
        pieces.iter().for_each(|piece| left[piece.weight] += 1);
        let left: Vec<AtomicUsize> = left.into_iter().map(AtomicUsize::new).collect();
        let next = AtomicUsize::new(0);
        team.run(|_| {
            let mut room = Vec::new();
            while let Some(Piece { weight: i, from, to }) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                put(&plan.weights()[*i], &weights[*i][from.clone()], to.clone(), &mut room)?;
                let is_last = left[*i].fetch_sub(1, Ordering::AcqRel) == 1;
                if let Some(release) = &repack.release
                    && is_last
                    && !storages.is_in_place(*i)
                {
                    release(&weights[*i]);
                }
            }
            Ok(())
        })
    }
}

/// What is in the panels of weights that have a place among all.
fn contents(weights: &[Weight], places: &[Option<Range<usize>>]) -> String {
    let line = |(weight, place): (&Weight, &Option<Range<usize>>)| {
        let Weight { name, format, rows, cols } = weight;
        place.as_ref().map(|place| format!("{name} {format} {rows}x{cols} at {}\n", place.start))
    };
    weights.iter().zip(places).filter_map(line).collect()
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
