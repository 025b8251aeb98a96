//! The steps that move the values of heads.

use silhak_ops::ValueId;
use silhak_shaders::Shader;

use super::work::{ELEMENT_THREADS, Work};
use super::{Compiler, of_outputs};

impl Compiler<'_> {
    pub(super) fn head_slice(&mut self, x: ValueId, n_heads: usize, start: usize, out: ValueId) {
        let dim = self.width(x) / n_heads as u32;
        self.heads(Shader::HeadSlice, out, [n_heads as u32, start as u32, dim], &[x, out]);
    }

    pub(super) fn head_concat(&mut self, a: ValueId, b: ValueId, n_heads: usize, out: ValueId) {
        let dim = self.width(a) / n_heads as u32;
        self.heads(Shader::HeadConcat, out, [n_heads as u32, 0, dim], &[a, b, out]);
    }

    fn heads(&mut self, shader: Shader, out: ValueId, [n_heads, start, dim]: [u32; 3], values: &[ValueId]) {
        let (rows, width) = (self.plan.value(out).rows, self.width(out));
        let grid_width = ELEMENT_THREADS * self.device.caps.max_workgroups;
        let params = [width, of_outputs(rows), grid_width, n_heads, start, dim];
        self.push(Work::Elements { shader, width, rows }, &params, values);
    }
}
