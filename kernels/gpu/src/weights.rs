//! Weights on the device.
//!
//! A [`Matrix`] may hold several weights that are multiplied with the same activations: one after the other, or with their
//! rows alternating in runs.

use std::sync::Arc;

use silhak_ops::Weight;
use silhak_quant::planar::{PlaneBytes, plane_bytes};
use silhak_quant::{Format, dequantize};
use silhak_shaders::Weights;

use crate::GpuError;
use crate::buffer::Buffer;
use crate::device::Device;
use crate::rows::Rows;
use crate::upload::Uploader;

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

/// Rows of a chunk come in multiples of this, so that each begins with the run of a first weight.
const ROW_STEP: usize = 32;

impl Matrix {
    /// Allocates a matrix; its rows follow when the uploader has them.
    pub(crate) fn upload(uploader: &mut Uploader<'_>, rows: Rows) -> Result<Self, silhak_ops::Error> {
        let (device, rows) = (uploader.device, Arc::new(rows));
        let n_rows = rows.len();
        let planes = row_planes(rows.format, rows.cols);
        let widest = planes.iter().copied().max().unwrap_or(0).max(1) as u64;
        let fitting = device.caps.max_binding.min(device.caps.max_buffer) / widest;
        let rows_per_chunk = (fitting as usize / ROW_STEP * ROW_STEP).max(ROW_STEP);
        let mut chunks = Vec::new();
        for first in (0..n_rows).step_by(rows_per_chunk) {
            let n = rows_per_chunk.min(n_rows - first);
            let allocate = |&bytes: &usize| device.storage(WHAT, (bytes * n) as u64);
            let buffers = planes.iter().filter(|&&bytes| bytes > 0).map(allocate).collect::<Result<Vec<_>, _>>()?;
            uploader.add(&rows, first..first + n, &buffers)?;
            chunks.push(Chunk { first_row: first as u32, n_rows: n as u32, planes: buffers });
        }
        Ok(Matrix { weights: shader_weights(rows.format), n_in: rows.cols as u32, chunks })
    }

    /// Groups of 32 values per row.
    pub(crate) fn n_groups(&self) -> u32 {
        self.n_in.div_ceil(32)
    }
}

/// Bytes that a matrix takes on the device.
pub(crate) fn matrix_bytes(weight: &Weight) -> Result<usize, silhak_ops::Error> {
    weight.row_bytes()?;
    Ok(row_planes(weight.format, weight.cols).iter().sum::<usize>() * weight.rows)
}

/// Bytes of a row in each plane.
pub(crate) fn row_planes(format: Format, cols: usize) -> [usize; 3] {
    plane_bytes(format, cols).map_or([0; 3], |PlaneBytes { quants, scales, further }| [quants, scales, further])
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
