//! The steps of mixtures of experts.

use silhak_ops::{Error, Routing, ValueId, WeightId};
use silhak_shaders::{Activations, Shader};

use super::work::{ELEMENT_THREADS, Work};
use super::{Compiler, of_outputs};
use crate::policy;

impl Compiler<'_> {
    pub(super) fn route(
        &mut self,
        logits: ValueId,
        bias: Option<WeightId>,
        routing: Routing,
        out: ValueId,
    ) -> Result<(), Error> {
        let (n_experts, rows) = (self.width(logits), self.plan.value(logits).rows);
        if n_experts > Shader::MOST_EXPERTS {
            return Err(Error::Shape {
                op: "route".into(),
                expected: format!("at most {} experts", Shader::MOST_EXPERTS),
                found: n_experts.to_string(),
            });
        }
        let of_bias = match bias {
            Some(bias) => self.vector(bias)?,
            None => self.unused.clone(),
        };
        let params = [
            n_experts,
            routing.n_used as u32,
            routing.n_groups as u32,
            routing.n_used_groups as u32,
            routing.normalize.into(),
            routing.scale.to_bits(),
            of_outputs(rows),
            bias.is_some().into(),
        ];
        let buffers = vec![self.slot(logits), of_bias, self.slot(out)];
        self.push_buffers(Work::RowGroups { shader: Shader::Route, rows }, &params, buffers);
        Ok(())
    }

    /// The matrices of the experts that tokens chose, or where they do not choose, one for each part of `x`.
    pub(super) fn expert_linear(
        &mut self,
        x: ValueId,
        chosen: Option<ValueId>,
        weight: WeightId,
        n_experts: usize,
        out: ValueId,
    ) -> Result<(), Error> {
        let matrix = self.matrix(&[weight], None)?;
        let activations = policy::activations(matrix.weights, matrix.n_in, &self.device.caps);
        let columns = match activations {
            Activations::A8 => self.quantized(x)?,
            Activations::F32 | Activations::Ragged => vec![self.slot(x)],
        };
        let rows = self.plan.value(x).rows;
        let n_used = chosen.map_or(n_experts as u32, |chosen| self.width(chosen) / 2);
        let n_out = (self.plan.weight(weight).rows / n_experts) as u32;
        let form = policy::FORM;
        let (weights, reduce) = (matrix.weights, policy::reduce(&self.device.caps));
        let shader = Shader::ExpertLinear { chosen: chosen.is_some(), weights, activations, reduce, form };
        let groups = n_out.div_ceil(form.rows);
        for chunk in &matrix.chunks {
            let params = [
                chunk.n_rows,
                matrix.n_groups(),
                matrix.n_in,
                chunk.first_row,
                n_out,
                of_outputs(rows),
                n_used,
                (self.width(x) == matrix.n_in).into(),
            ];
            let after: Vec<_> = [Some(out), chosen].into_iter().flatten().map(|value| self.slot(value)).collect();
            let buffers = chunk.planes.iter().chain(&columns).chain(&after).cloned().collect();
            self.push_buffers(Work::PerPart { shader, groups, n_parts: n_used, rows }, &params, buffers);
        }
        Ok(())
    }

    pub(super) fn expert_sum(&mut self, x: ValueId, chosen: ValueId, out: ValueId) {
        let (rows, width, n_used) = (self.plan.value(x).rows, self.width(out), self.width(chosen) / 2);
        let grid_width = ELEMENT_THREADS * self.device.caps.max_workgroups;
        let work = Work::Elements { shader: Shader::ExpertSum, width, rows };
        self.push(work, &[width, of_outputs(rows), n_used, grid_width], &[x, chosen, out]);
    }
}
