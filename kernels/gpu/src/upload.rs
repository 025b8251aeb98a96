//! Weights on their way to the device.
//!
//! Threads split rows into planes, out of the mapped file and into staging buffers, while the device copies from other
//! staging buffers. Only the thread that uploads speaks with the device: it allocates, submits and waits, so whatever the
//! device refuses is heard in one place.

use std::collections::VecDeque;
use std::mem;
use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use silhak_ops::Error;
use silhak_quant::planar::Planes;
use wgpu::{
    BufferAsyncError, BufferDescriptor, BufferUsages, BufferViewMut, COPY_BUFFER_ALIGNMENT, CommandEncoderDescriptor,
    MapMode, SubmissionIndex,
};

use crate::GpuError;
use crate::buffer::Buffer;
use crate::device::{Device, GLANCE};
use crate::rows::Rows;
use crate::weights::row_planes;

/// Uploads the rows of matrices, in the order in which they are added.
///
/// What is added arrives by [`Uploader::finish`]. Where it is dropped before, what was not sent is forgotten.
#[derive(Debug)]
pub(crate) struct Uploader<'a> {
    pub(crate) device: &'a Device,
    most_threads: usize,
    threads: Vec<JoinHandle<()>>,
    /// To the threads; none once it is closed.
    to_split: Option<Sender<(Batch, BufferViewMut)>>,
    /// The threads' end of it.
    queue: Arc<Mutex<Receiver<(Batch, BufferViewMut)>>>,
    split: Receiver<Split>,
    /// The threads' end of it.
    done: Sender<Split>,
    /// Batches that the threads have.
    n_splitting: usize,
    /// What the device copies from, in the order of submission.
    copying: VecDeque<Copying>,
    /// The batch that rows are added to.
    open: Option<Batch>,
    /// Mapped staging buffers.
    free: Vec<wgpu::Buffer>,
    /// Bytes of all staging buffers.
    bytes: u64,
    begun: Instant,
    /// Bytes that the device was told to copy.
    n_copied: u64,
}

/// A staging buffer, and what is to lie in it.
#[derive(Debug)]
struct Batch {
    staging: wgpu::Buffer,
    used: u64,
    parts: Vec<Part>,
}

/// Rows of one matrix.
#[derive(Debug)]
struct Part {
    rows: Arc<Rows>,
    range: Range<usize>,
    /// Those planes that have any bytes, in their order.
    planes: Vec<PlanePart>,
}

/// A plane of some rows, from where to where.
#[derive(Debug)]
struct PlanePart {
    staged_at: u64,
    /// Whole words.
    bytes: u64,
    to: Buffer,
    at: u64,
}

/// A batch that a thread is done with.
type Split = (Batch, Result<(), Error>);

#[derive(Debug)]
struct Copying {
    staging: wgpu::Buffer,
    submission: SubmissionIndex,
    mapped: Receiver<Result<(), BufferAsyncError>>,
}

/// Bytes of a staging buffer, unless two rows take more: enough that a submission costs little beside its copies.
const STAGING_BYTES: u64 = 4 << 20;

/// Bytes of all staging buffers. They do not count against the device's budget: they lie in host memory, or in the little of
/// the device's that the host can write to, and are given back before anything runs.
const MOST_BYTES: u64 = 128 << 20;

/// Threads that split rows: with so many it is memory that limits.
const MOST_THREADS: usize = 16;

/// Bytes of the file that are split at a time: these and their planes stay in a core's cache.
const TILE_BYTES: usize = 64 << 10;

/// With so many rows before it every row begins at a whole word of each plane: no plane has an odd number of bytes per row.
const ROW_STEP: usize = 2;

/// A plane of a part begins at a multiple of this in its staging buffer: a line of a cache, that no other plane writes to.
const PLANE_STEP: u64 = 64;

impl<'a> Uploader<'a> {
    /// Threads and staging buffers come with the rows that need them.
    pub(crate) fn new(device: &'a Device) -> Self {
        let (to_split, queue) = mpsc::channel();
        let (done, split) = mpsc::channel();
        Uploader {
            device,
            most_threads: thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS),
            threads: Vec::new(),
            to_split: Some(to_split),
            queue: Arc::new(Mutex::new(queue)),
            split,
            done,
            n_splitting: 0,
            copying: VecDeque::new(),
            open: None,
            free: Vec::new(),
            bytes: 0,
            begun: Instant::now(),
            n_copied: 0,
        }
    }

    /// Adds some rows of a matrix; `to` are the planes that have any bytes.
    pub(crate) fn add(&mut self, rows: &Arc<Rows>, range: Range<usize>, to: &[Buffer]) -> Result<(), Error> {
        let row_bytes = row_planes(rows.format, rows.cols).map(|bytes| bytes as u64);
        if row_bytes == [0; 3] {
            return Ok(());
        }
        let mut first = range.start;
        while first < range.end {
            let mut batch = match self.open.take() {
                Some(batch) => batch,
                None => Batch::new(self.staging(room(ROW_STEP, &row_bytes))?),
            };
            let n = batch.fitting(&row_bytes).min(range.end - first);
            if n == 0 {
                self.send(batch)?;
                continue;
            }
            batch.add(rows, first..first + n, (first - range.start) as u64, &row_bytes, to);
            self.open = Some(batch);
            first += n;
        }
        Ok(())
    }

    /// Waits until everything has arrived.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        if let Some(batch) = self.open.take() {
            self.send(batch)?;
        }
        while self.n_splitting > 0 || !self.copying.is_empty() {
            self.advance()?;
        }
        self.free.clear();
        let (bytes, staging, threads) = (self.n_copied, mem::take(&mut self.bytes), self.threads.len());
        tracing::debug!(bytes, staging, threads, time = ?self.begun.elapsed(), "weights uploaded");
        Ok(())
    }

    /// Has a batch split, by one thread more where all have something to do.
    fn send(&mut self, batch: Batch) -> Result<(), Error> {
        if self.n_splitting >= self.threads.len() && self.threads.len() < self.most_threads {
            let (queue, done) = (Arc::clone(&self.queue), self.done.clone());
            let name = format!("silhak-upload-{}", self.threads.len());
            match thread::Builder::new().name(name).spawn(move || work(&queue, &done)) {
                Ok(thread) => self.threads.push(thread),
                Err(error) if self.threads.is_empty() => {
                    return Err(backend_error(format!("cannot start a thread ({error})")));
                }
                // Those there are will do.
                Err(_) => self.most_threads = self.threads.len(),
            }
        }
        let view = batch.staging.get_mapped_range_mut(..).map_err(|error| self.not_mapped(&error.to_string()))?;
        let sent = self.to_split.as_ref().is_some_and(|to_split| to_split.send((batch, view)).is_ok());
        if !sent {
            return Err(backend_error("nobody splits weights any more".into()));
        }
        self.n_splitting += 1;
        Ok(())
    }

    /// A mapped staging buffer of at least `needed` bytes. Waits for one only where there are as many as may be.
    fn staging(&mut self, needed: u64) -> Result<wgpu::Buffer, Error> {
        let size = STAGING_BYTES.max(needed.next_multiple_of(PLANE_STEP));
        loop {
            while let Ok(split) = self.split.try_recv() {
                self.copy(split)?;
            }
            while let Some(staging) = self.free.pop() {
                if staging.size() >= needed {
                    return Ok(staging);
                }
                self.bytes -= staging.size();
            }
            let is_first = self.n_splitting == 0 && self.copying.is_empty();
            let most = MOST_BYTES.min(2 * self.most_threads as u64 * STAGING_BYTES);
            if is_first || self.bytes + size <= most {
                match self.allocate(size) {
                    Ok(staging) => {
                        self.bytes += size;
                        return Ok(staging);
                    }
                    // Those there are will do.
                    Err(GpuError::OutOfMemory { .. }) if !is_first => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.advance()?;
        }
    }

    fn allocate(&self, size: u64) -> Result<wgpu::Buffer, GpuError> {
        let usage = BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC;
        let descriptor = BufferDescriptor { label: Some(WHAT), size, usage, mapped_at_creation: true };
        self.device.checked(WHAT, size, || self.device.device.create_buffer(&descriptor))
    }

    /// Waits until the device, or else a thread, is done with a batch.
    fn advance(&mut self) -> Result<(), Error> {
        if let Some(Copying { staging, submission, mapped }) = self.copying.pop_front() {
            self.device.wait(&submission)?;
            match mapped.try_recv() {
                Ok(Ok(())) => self.free.push(staging),
                Ok(Err(error)) => return Err(self.not_mapped(&error.to_string())),
                Err(_) => return Err(self.not_mapped("it did not say")),
            }
            return Ok(());
        }
        match self.split.recv_timeout(GLANCE) {
            Ok(split) => self.copy(split),
            Err(RecvTimeoutError::Timeout) => Ok(self.device.health()?),
            Err(RecvTimeoutError::Disconnected) => Err(backend_error("nobody splits weights any more".into())),
        }
    }

    /// Has the device copy a batch, and give its buffer back after that.
    fn copy(&mut self, (batch, outcome): Split) -> Result<(), Error> {
        self.n_splitting -= 1;
        outcome?;
        let Batch { staging, used, parts } = batch;
        let (device, queue) = (&self.device.device, &self.device.queue);
        let (done, mapped) = mpsc::channel();
        let submission = self.device.checked(WHAT, used, || {
            staging.unmap();
            let mut encoder = device.create_command_encoder(&CommandEncoderDescriptor { label: Some(WHAT) });
            for PlanePart { staged_at, bytes, to, at } in parts.iter().flat_map(|part| &part.planes) {
                encoder.copy_buffer_to_buffer(&staging, *staged_at, to, *at, *bytes);
            }
            let submission = queue.submit([encoder.finish()]);
            staging.map_async(MapMode::Write, .., move |result| {
                // After an error nobody listens.
                let _ = done.send(result);
            });
            submission
        })?;
        self.n_copied += used;
        self.copying.push_back(Copying { staging, submission, mapped });
        Ok(())
    }

    /// Why a staging buffer is not mapped: for the loss of its device in the first place.
    fn not_mapped(&self, reason: &str) -> Error {
        let lost = || GpuError::Lost { adapter: self.device.name.clone(), reason: format!("{WHAT}: {reason}") };
        self.device.health().err().unwrap_or_else(lost).into()
    }
}

impl Drop for Uploader<'_> {
    fn drop(&mut self) {
        self.to_split = None;
        // After an error nobody waits for what is still to be split.
        while self.queue.lock().unwrap_or_else(PoisonError::into_inner).try_recv().is_ok() {}
        for thread in self.threads.drain(..) {
            // A thread catches its panics, and there is nobody left to tell of any other.
            let _ = thread.join();
        }
    }
}

impl Batch {
    fn new(staging: wgpu::Buffer) -> Self {
        Batch { staging, used: 0, parts: Vec::new() }
    }

    /// How many rows there is room for.
    fn fitting(&self, row_bytes: &[u64; 3]) -> usize {
        let free = (self.staging.size() - self.used).saturating_sub(room(0, row_bytes));
        (free / row_bytes.iter().sum::<u64>()) as usize / ROW_STEP * ROW_STEP
    }

    /// Adds rows, of which there are `n_before` in `to`.
    fn add(&mut self, rows: &Arc<Rows>, range: Range<usize>, n_before: u64, row_bytes: &[u64; 3], to: &[Buffer]) {
        let n = range.len() as u64;
        let mut planes = Vec::with_capacity(to.len());
        for (row_bytes, to) in row_bytes.iter().filter(|&&bytes| bytes > 0).zip(to) {
            let bytes = (n * row_bytes).next_multiple_of(COPY_BUFFER_ALIGNMENT);
            planes.push(PlanePart { staged_at: self.used, bytes, to: to.clone(), at: n_before * row_bytes });
            self.used = (self.used + bytes).next_multiple_of(PLANE_STEP);
        }
        self.parts.push(Part { rows: Arc::clone(rows), range, planes });
    }
}

/// Bytes that some rows take in a staging buffer at most.
fn room(n_rows: usize, row_bytes: &[u64; 3]) -> u64 {
    row_bytes.iter().map(|bytes| n_rows as u64 * bytes + PLANE_STEP).sum()
}

impl Part {
    /// Splits the rows into `staging`, which is written from the beginning of each plane to its end and never read: it may
    /// be memory of the device.
    fn split(&self, staging: &mut BufferViewMut, planes: &mut Planes) -> Result<(), Error> {
        let Part { rows, range, planes: parts } = self;
        let mut ends: Vec<usize> = parts.iter().map(|part| part.staged_at as usize).collect();
        for tile in rows.tiles(range.clone(), TILE_BYTES) {
            planes.fill(rows.format, tile, rows.cols)?;
            let planes = [&planes.quants, &planes.scales, &planes.further];
            for (plane, end) in planes.into_iter().filter(|plane| !plane.is_empty()).zip(&mut ends) {
                staging.slice(*end..*end + plane.len()).copy_from_slice(plane);
                *end += plane.len();
            }
        }
        for (part, end) in parts.iter().zip(ends) {
            staging.slice(end..(part.staged_at + part.bytes) as usize).fill(0);
        }
        Ok(())
    }
}

/// The life of a thread.
fn work(queue: &Mutex<Receiver<(Batch, BufferViewMut)>>, done: &Sender<Split>) {
    let mut planes = Planes::default();
    loop {
        let Ok((batch, mut view)) = queue.lock().unwrap_or_else(PoisonError::into_inner).recv() else { return };
        // Planes are written before they are read, whatever state a panic leaves them in.
        let split = AssertUnwindSafe(|| batch.parts.iter().try_for_each(|part| part.split(&mut view, &mut planes)));
        let outcome = catch_unwind(split).unwrap_or_else(|_| {
            Err(backend_error(
                "a thread that splits weights panicked; this is a fault of Silhak, please report it".into(),
            ))
        });
        // A buffer cannot be unmapped while anybody has a view of it.
        drop(view);
        if done.send((batch, outcome)).is_err() {
            return;
        }
    }
}

fn backend_error(message: String) -> Error {
    Error::Backend { backend: "gpu".into(), message }
}

/// What staging buffers are for, in errors.
const WHAT: &str = "weights on their way";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use silhak_ops::Weight;
    use silhak_quant::Format;
    use silhak_quant::planar::planes;

    use super::*;
    use crate::readback::Readback;
    use crate::weights::Matrix;
    use crate::{Gpu, GpuOptions};

    fn device() -> Option<Arc<Device>> {
        match Gpu::open(&GpuOptions::default()) {
            Ok(gpu) => Some(gpu.opened().unwrap().device),
            Err(GpuError::NoAdapter) => {
                let is_required = std::env::var("SILHAK_REQUIRE").is_ok_and(|list| list.split(',').any(|w| w == "gpu"));
                assert!(!is_required, "a GPU is required, and there is none");
                println!("SKIPPED: no GPU; Mesa's software driver is enough (on Debian: mesa-vulkan-drivers)");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A matrix of one weight or of several.
    fn rows(format: Format, cols: usize, n_rows: &[usize], run: Option<usize>) -> Rows {
        let weight = |&rows: &usize| Weight { name: "w".into(), format, rows, cols };
        let weights: Vec<Weight> = n_rows.iter().map(weight).collect();
        let data = |(i, weight): (usize, &Weight)| -> Bytes {
            let n = weight.bytes().unwrap() as u32;
            (0..n).map(|k| (k.wrapping_mul(0x9e37_79b1).wrapping_add(i as u32) >> 21) as u8).collect()
        };
        let data: Vec<Bytes> = weights.iter().enumerate().map(data).collect();
        Rows::new(&weights.iter().zip(&data).collect::<Vec<_>>(), run).unwrap()
    }

    fn read(device: &Device, buffer: &Buffer, n_bytes: usize) -> Vec<u8> {
        let readback = Readback::new(device, buffer.size()).unwrap();
        let mut encoder = device.device.create_command_encoder(&CommandEncoderDescriptor::default());
        readback.take(&mut encoder, buffer, 0, buffer.size());
        let mut found = Vec::new();
        let pending = readback.submit(device, encoder, buffer.size()).unwrap();
        readback.read(device, pending, |bytes| found.extend(bytes)).unwrap();
        assert!(found[n_bytes..].iter().all(|&byte| byte == 0), "what pads to whole words is zero");
        found.truncate(n_bytes);
        found
    }

    #[test]
    fn planes_arrive_whole_wherever_batches_are_cut() {
        let Some(device) = device() else { return };
        let cases: [(Format, usize, &[usize], Option<usize>); 8] = [
            (Format::F16, 37, &[101], None),
            (Format::Q4_0, 4096, &[3001], None),
            (Format::Q8_0, 32, &[1], None),
            (Format::Q6K, 4096, &[1999, 333, 1], None),
            (Format::F32, 4099, &[701], None),
            (Format::Q4K, 8192, &[960, 960], Some(16)),
            (Format::Q5_0, 64, &[7, 8], None),
            // Two rows take more than a staging buffer has.
            (Format::F32, 700_001, &[3], None),
        ];
        let mut uploader = Uploader::new(&device);
        let upload = |&(format, cols, n_rows, run): &(Format, usize, &[usize], Option<usize>)| {
            let bytes =
                rows(format, cols, n_rows, run).tiles(0..n_rows.iter().sum(), usize::MAX).collect::<Vec<_>>().concat();
            let matrix = Matrix::upload(&mut uploader, rows(format, cols, n_rows, run)).unwrap();
            (matrix, planes(format, &bytes, cols).unwrap())
        };
        let uploaded: Vec<(Matrix, Planes)> = cases.iter().map(upload).collect();
        uploader.finish().unwrap();
        for ((matrix, expected), case) in uploaded.iter().zip(&cases) {
            let expected = [&expected.quants, &expected.scales, &expected.further];
            let expected = expected.into_iter().filter(|plane| !plane.is_empty());
            assert_eq!(matrix.chunks.len(), 1);
            for (buffer, expected) in matrix.chunks[0].planes.iter().zip(expected) {
                assert!(read(&device, buffer, expected.len()) == *expected, "{case:?}");
            }
        }
    }

    #[test]
    fn staging_stays_bounded_and_is_given_back() {
        let Some(device) = device() else { return };
        let mut uploader = Uploader::new(&device);
        let mut most = 0;
        for _ in 0..16 {
            Matrix::upload(&mut uploader, rows(Format::Q8_0, 4096, &[4000], None)).unwrap();
            assert!(uploader.threads.len() <= uploader.most_threads && uploader.most_threads <= MOST_THREADS);
            most = most.max(uploader.bytes);
        }
        assert!((STAGING_BYTES..=MOST_BYTES).contains(&most), "{most}");
        uploader.finish().unwrap();
        assert_eq!((uploader.bytes, uploader.free.len()), (0, 0));
    }

    #[test]
    fn a_loss_is_told_at_once() {
        for n_before in [0, 1, 5] {
            let Some(device) = device() else { return };
            let mut uploader = Uploader::new(&device);
            let rows = Arc::new(rows(Format::Q8_0, 4096, &[4000], None));
            let planes = row_planes(rows.format, rows.cols).map(|bytes| (bytes * rows.len()) as u64);
            let to = [planes[0], planes[1]].map(|bytes| device.storage("weights", bytes).unwrap());
            (0..n_before).for_each(|_| uploader.add(&rows, 0..rows.len(), &to).unwrap());
            device.lose("a test".into());
            let begun = Instant::now();
            let error = uploader.add(&rows, 0..rows.len(), &to).and_then(|()| uploader.finish()).unwrap_err();
            drop(uploader);
            assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(2));
        }
    }
}
