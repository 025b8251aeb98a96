//! Weights on the device.

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
    pub(crate) n_rows: u32,
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

/// What the buffers of weights are for.
pub(crate) const WEIGHTS: &str = "weights";

/// Host memory that the upload of a weight takes at a time.
const PIECE_BYTES: usize = 16 << 20;

/// Rows of a chunk and of a piece come in multiples of this, so that each begins at a whole word of every plane.
const ROW_STEP: usize = 8;

impl Matrix {
    /// Uploads a matrix.
    pub(crate) fn upload(device: &Device, weight: &Weight, data: &[u8]) -> Result<Self, silhak_ops::Error> {
        let (row_bytes, row) = (weight.row_bytes()?, row_planes(weight)?);
        let widest = row.iter().copied().max().unwrap_or(0).max(1) as u64;
        let fitting = device.caps.max_binding.min(device.caps.max_buffer) / widest;
        let rows_per_chunk = (fitting as usize / ROW_STEP * ROW_STEP).max(ROW_STEP);
        let mut chunks = Vec::new();
        for (i, data) in data.chunks(rows_per_chunk * row_bytes).enumerate() {
            let n_rows = data.len() / row_bytes;
            let allocate = |&bytes: &usize| device.storage(WEIGHTS, (bytes * n_rows) as u64);
            let planes = row.iter().filter(|&&bytes| bytes > 0).map(allocate).collect::<Result<Vec<_>, _>>()?;
            fill(device, weight, data, row_bytes, &row, &planes)?;
            chunks.push(Chunk { first_row: (i * rows_per_chunk) as u32, n_rows: n_rows as u32, planes });
        }
        let (n_rows, n_in) = (weight.rows as u32, weight.cols as u32);
        Ok(Matrix { weights: shader_weights(weight.format), n_rows, n_in, chunks })
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
    weight: &Weight,
    data: &[u8],
    row_bytes: usize,
    row: &[usize; 3],
    buffers: &[Buffer],
) -> Result<(), silhak_ops::Error> {
    let rows_per_piece = (PIECE_BYTES / row_bytes.max(1) / ROW_STEP * ROW_STEP).max(ROW_STEP);
    for (i, piece) in data.chunks(rows_per_piece * row_bytes).enumerate() {
        let split = planes(weight.format, piece, weight.cols)?;
        let present = [split.quants, split.scales, split.further].into_iter().zip(row).filter(|(_, bytes)| **bytes > 0);
        for ((plane, bytes), buffer) in present.zip(buffers) {
            device.write(buffer, (i * rows_per_piece * bytes) as u64, &plane)?;
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
    let filled: Result<Buffer, GpuError> = device.filled(WEIGHTS, bytemuck::cast_slice(&values));
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
