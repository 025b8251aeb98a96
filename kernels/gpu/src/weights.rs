//! Weights on the device.
//!
//! A [`Matrix`] may hold several weights that are multiplied with the same activations: one after the other, or with their
//! rows alternating in runs.

use std::ops::Range;

use silhak_ops::Weight;
use silhak_quant::planar::{PlaneBytes, plane_bytes, planes};
use silhak_quant::{Format, dequantize};
use silhak_shaders::Weights;

use crate::GpuError;
use crate::buffer::Buffer;
use crate::device::Device;

/// A matrix on the device, in chunks of rows that fit into a binding each.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) weights: Weights,
    pub(crate) n_in: u32,
    pub(crate) chunks: Vec<Chunk>,
}

/// Some rows of a matrix.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) first_row: u32,
    pub(crate) n_rows: u32,
    /// At bindings 1, 2 and 3: quants, scales, further bits.
    pub(crate) planes: Vec<Buffer>,
}

/// What their buffers are for, in errors and in profiles.
pub(crate) const WHAT: &str = "weights";

/// Host memory that the upload of a weight takes at a time.
const PIECE_BYTES: usize = 16 << 20;

/// Rows of a chunk and of a piece come in multiples of this, so that each begins at a whole word of every plane, and with
/// the run of a first weight.
const ROW_STEP: usize = 32;

/// Weights of one format and row length, and how their rows follow each other in a matrix.
pub(crate) struct Rows<'a> {
    parts: Vec<(&'a Weight, &'a [u8])>,
    /// Rows of one weight before the next has its turn; none where each comes whole.
    run: Option<usize>,
    row_bytes: usize,
}

impl<'a> Rows<'a> {
    /// `parts` are weights with their data.
    pub(crate) fn new(parts: Vec<(&'a Weight, &'a [u8])>, run: Option<usize>) -> Result<Self, silhak_ops::Error> {
        let row_bytes = parts[0].0.row_bytes()?;
        Ok(Rows { parts, run, row_bytes })
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|(weight, _)| weight.rows).sum()
    }

    /// The bytes of row `i` of the matrix.
    fn row(&self, i: usize) -> &'a [u8] {
        let (part, row) = match self.run {
            Some(run) => {
                let (turn, n) = (i / run, self.parts.len());
                (turn % n, turn / n * run + i % run)
            }
            None => {
                let mut row = i;
                let is_in = |(weight, _): &(&Weight, &[u8])| {
                    let is_in = row < weight.rows;
                    if !is_in {
                        row -= weight.rows;
                    }
                    is_in
                };
                (self.parts.iter().position(is_in).unwrap_or(0), row)
            }
        };
        &self.parts[part].1[row * self.row_bytes..][..self.row_bytes]
    }
}

impl Matrix {
    /// Uploads a matrix.
    pub(crate) fn upload(device: &Device, rows: &Rows<'_>) -> Result<Self, silhak_ops::Error> {
        let (weight, n_rows) = (rows.parts[0].0, rows.len());
        let planes = row_planes(weight)?;
        let widest = planes.iter().copied().max().unwrap_or(0).max(1) as u64;
        let fitting = device.caps.max_binding.min(device.caps.max_buffer) / widest;
        let rows_per_chunk = (fitting as usize / ROW_STEP * ROW_STEP).max(ROW_STEP);
        let mut chunks = Vec::new();
        for first in (0..n_rows).step_by(rows_per_chunk) {
            let n = rows_per_chunk.min(n_rows - first);
            let allocate = |&bytes: &usize| device.storage(WHAT, (bytes * n) as u64);
            let buffers = planes.iter().filter(|&&bytes| bytes > 0).map(allocate).collect::<Result<Vec<_>, _>>()?;
            fill(device, rows, first..first + n, &planes, &buffers)?;
            chunks.push(Chunk { first_row: first as u32, n_rows: n as u32, planes: buffers });
        }
        let n_in = weight.cols as u32;
        Ok(Matrix { weights: shader_weights(weight.format), n_in, chunks })
    }

    /// Groups of 32 values per row.
    pub(crate) fn n_groups(&self) -> u32 {
        self.n_in.div_ceil(32)
    }
}

/// Bytes that a matrix takes on the device.
pub(crate) fn matrix_bytes(weight: &Weight) -> Result<usize, silhak_ops::Error> {
    Ok(row_planes(weight)?.iter().sum::<usize>() * weight.rows)
}

fn row_planes(weight: &Weight) -> Result<[usize; 3], silhak_ops::Error> {
    weight.row_bytes()?;
    let PlaneBytes { quants, scales, further } =
        plane_bytes(weight.format, weight.cols).unwrap_or(PlaneBytes { quants: 0, scales: 0, further: 0 });
    Ok([quants, scales, further])
}

/// Splits rows into planes piece by piece, so that host memory stays bounded whatever the weight's size.
fn fill(
    device: &Device,
    rows: &Rows<'_>,
    range: Range<usize>,
    plane_bytes: &[usize; 3],
    buffers: &[Buffer],
) -> Result<(), silhak_ops::Error> {
    let weight = rows.parts[0].0;
    let rows_per_piece = (PIECE_BYTES / rows.row_bytes.max(1) / ROW_STEP * ROW_STEP).max(ROW_STEP);
    let mut piece = Vec::new();
    for first in range.clone().step_by(rows_per_piece) {
        piece.clear();
        (first..range.end.min(first + rows_per_piece)).for_each(|i| piece.extend_from_slice(rows.row(i)));
        let split = planes(weight.format, &piece, weight.cols)?;
        let all = [split.quants, split.scales, split.further].into_iter().zip(plane_bytes);
        for ((plane, bytes), buffer) in all.filter(|(_, bytes)| **bytes > 0).zip(buffers) {
            device.write(buffer, ((first - range.start) * bytes) as u64, &plane)?;
        }
        // What was written is staged by the driver until a submission has taken it.
        let submission = device.queue.submit([]);
        device.wait(&submission)?;
    }
    Ok(())
}

/// A vector on the device, in float32.
pub(crate) fn upload_vector(device: &Device, weight: &Weight, data: &[u8]) -> Result<Buffer, silhak_ops::Error> {
    let values = vector(weight, data)?;
    let filled: Result<Buffer, GpuError> = device.filled(WHAT, bytemuck::cast_slice(&values));
    Ok(filled?)
}

/// A vector's values in float32.
pub(crate) fn vector(weight: &Weight, data: &[u8]) -> Result<Vec<f32>, silhak_ops::Error> {
    let mut values = vec![0.0; weight.rows * weight.cols];
    dequantize(weight.format, data, &mut values)?;
    Ok(values)
}

pub(crate) fn shader_weights(format: Format) -> Weights {
    match format {
        Format::F32 => Weights::F32,
        Format::F16 => Weights::F16,
        Format::Bf16 => Weights::Bf16,
        Format::Q4_0 => Weights::Q4_0,
        Format::Q4_1 => Weights::Q4_1,
        Format::Q5_0 => Weights::Q5_0,
        Format::Q5_1 => Weights::Q5_1,
        Format::Q8_0 => Weights::Q8_0,
        Format::Q2K => Weights::Q2K,
        Format::Q3K => Weights::Q3K,
        Format::Q4K => Weights::Q4K,
        Format::Q5K => Weights::Q5K,
        Format::Q6K => Weights::Q6K,
        Format::Iq4Nl => Weights::Iq4Nl,
        Format::Iq4Xs => Weights::Iq4Xs,
    }
}
