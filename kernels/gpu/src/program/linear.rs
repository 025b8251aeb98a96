//! The steps of linears, and what makes their 8-bit activations.

use silhak_ops::{Error, ValueId, WeightId};
use silhak_quant::planar::GROUP;
use silhak_shaders::{Activation, Activations, Epilogue, Shader};

use super::work::{Shape, Work};
use super::{A8, Compiler, VALUES, most_rows, of_outputs};
use crate::buffer::Buffer;
use crate::fuse::Part;
use crate::policy;
use crate::weights::{self, vector};

impl Compiler<'_> {
    pub(super) fn norm_quantized(&mut self, x: ValueId, weight: WeightId, eps: f32, out: ValueId) -> Result<(), Error> {
        let rows = self.plan.value(x).rows;
        let n_blocks = self.width(x) / 32;
        let threads = n_blocks.next_power_of_two().clamp(32, 256);
        let (reduce, blocks) = (policy::reduce(&self.device.caps), n_blocks.div_ceil(threads));
        let shader = Shader::RmsNormQuantized { reduce, threads, blocks };
        let a8 = self.a8_buffers(out)?;
        let buffers = [self.slot(x), self.vector(weight)?].into_iter().chain(a8).collect();
        self.push_buffers(Work::PerRow { shader, groups: 1, rows }, &[n_blocks, eps.to_bits()], buffers);
        Ok(())
    }

    /// Several linears of `x`, with their rows one after the other.
    pub(super) fn linears(&mut self, x: ValueId, parts: &[Part]) -> Result<(), Error> {
        let mut biases = Vec::new();
        for part in parts {
            let n = self.width(part.out) as usize;
            match part.bias {
                Some(bias) => biases.extend(vector(self.plan.weight(bias), &self.weights[bias.index()])?),
                None => biases.resize(biases.len() + n, 0.0f32),
            }
        }
        let bias = self.device.filled(weights::WHAT, bytemuck::cast_slice(&biases))?;
        let width = |i: usize| parts.get(i).map_or(0, |part| self.width(part.out));
        let widths = [width(0), width(1), width(2)];
        let out = |i: usize| parts.get(i).map_or_else(|| self.unused.clone(), |part| self.slot(part.out));
        let after = vec![out(0), bias, out(1), out(2)];
        let weights: Vec<WeightId> = parts.iter().map(|part| part.weight).collect();
        self.linear(x, &weights, Epilogue::Three, widths, after)
    }

    /// A linear, or several that one kernel does; `after` are its bindings after those of `x`.
    pub(super) fn linear(
        &mut self,
        x: ValueId,
        weights: &[WeightId],
        epilogue: Epilogue,
        widths: [u32; 3],
        after: Vec<Buffer>,
    ) -> Result<(), Error> {
        let run = matches!(epilogue, Epilogue::Gate(_)).then_some(Epilogue::RUN);
        let matrix = self.matrix(weights, run)?;
        let activations = policy::activations(matrix.weights, matrix.n_in, &self.device.caps);
        let columns = match activations {
            Activations::A8 => self.quantized(x)?,
            Activations::F32 | Activations::Ragged => vec![self.slot(x)],
        };
        let (rows, per_output) = (self.plan.value(x).rows, epilogue.rows_per_output());
        for chunk in &matrix.chunks {
            let n_rows = chunk.n_rows;
            let shape = Shape { n_rows, n_groups: matrix.n_groups() };
            let form = policy::FORM;
            let work = Work::Linear { weights: matrix.weights, activations, epilogue, shape, form, rows };
            let params = [
                n_rows / per_output,
                matrix.n_groups(),
                matrix.n_in,
                chunk.first_row / per_output,
                widths[0],
                of_outputs(rows),
                widths[1],
                widths[2],
            ];
            let buffers = chunk.planes.iter().chain(&columns).chain(&after).cloned().collect();
            self.push_buffers(work, &params, buffers);
        }
        Ok(())
    }

    /// The 8-bit form of a value: quants and scales. It is made once for all linears that read the value.
    pub(super) fn quantized(&mut self, x: ValueId) -> Result<Vec<Buffer>, Error> {
        let (rows, n_blocks) = (self.plan.value(x).rows, self.width(x) / 32);
        if let Some(a8) = self.a8.get(&(rows, self.width(x))).filter(|a8| a8.holds == x) {
            return Ok(a8.buffers.to_vec());
        }
        let buffers = self.a8_buffers(x)?;
        let bound = [self.slot(x)].into_iter().chain(buffers.clone()).collect();
        let work = Work::PerRow { shader: Shader::Quantize, groups: n_blocks.div_ceil(64), rows };
        self.push_buffers(work, &[n_blocks, of_outputs(rows)], bound);
        Ok(buffers)
    }

    /// The buffers that are to hold the 8-bit form of `x`. Values of one shape take turns in them.
    pub(super) fn a8_buffers(&mut self, x: ValueId) -> Result<Vec<Buffer>, Error> {
        let (rows, width) = (self.plan.value(x).rows, self.width(x));
        let buffers = match self.a8.remove(&(rows, width)) {
            Some(A8 { buffers, .. }) => buffers,
            None => {
                let n_blocks = most_rows(rows, self.config) as u64 * u64::from(width / 32);
                [self.device.storage(VALUES, 32 * n_blocks)?, self.device.storage(VALUES, 8 * n_blocks)?]
            }
        };
        self.a8.insert((rows, width), A8 { buffers: buffers.clone(), holds: x });
        Ok(buffers.to_vec())
    }

    /// `activation(gate) * up` in 8 bits: one kernel for few rows, a matmul and a conversion for many.
    pub(super) fn gated_quantized(
        &mut self,
        x: ValueId,
        gate: WeightId,
        up: WeightId,
        activation: Activation,
        out: ValueId,
    ) -> Result<(), Error> {
        let matrix = self.matrix(&[gate, up], Some(Epilogue::RUN))?;
        let (columns, a8) = (self.quantized(x)?, self.a8_buffers(out)?);
        let (rows, width) = (self.plan.value(out).rows, self.width(out));
        let weights = matrix.weights;
        for chunk in &matrix.chunks {
            let (n_rows, n_out) = (chunk.n_rows, chunk.n_rows / 2);
            let first = chunk.first_row / 2;
            let params = [n_out, matrix.n_groups(), matrix.n_in, first, width, of_outputs(rows), 0, 0];
            let read = || chunk.planes.iter().chain(&columns).cloned();
            let shape = Shape { n_rows, n_groups: matrix.n_groups() };
            let few = Work::GatedFew { weights, activation, shape, form: policy::GATED_FORM, rows };
            self.push_buffers(few, &params, read().chain(a8.clone()).collect());
            let many = Work::GatedMany { weights, activation, shape, form: policy::FORM, rows, also_few: false };
            self.push_buffers(many, &params, read().chain([self.slot(out)]).collect());
        }
        let n_blocks = width / GROUP as u32;
        let groups = n_blocks.div_ceil(64);
        let work = Work::PerManyRows { shader: Shader::Quantize, groups, rows, also_few: false };
        let buffers = [self.slot(out)].into_iter().chain(a8).collect();
        self.push_buffers(work, &[n_blocks, of_outputs(rows)], buffers);
        Ok(())
    }
}
