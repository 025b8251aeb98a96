//! The steps of attention: rotation, keys and values into their pages, attention itself.

use silhak_ops::{Error, KvId, Pairing, Rope, Rows, ValueId};
use silhak_shaders::Shader;

use super::Compiler;
use super::work::Work;
use crate::buffer::Buffer;
use crate::kv::shader_kv;

impl Compiler<'_> {
    pub(super) fn rope(&mut self, x: ValueId, head_dim: usize, rope: Rope, out: ValueId) -> Result<(), Error> {
        let table = self.rope_table(rope)?;
        let n_heads = self.width(x) / head_dim as u32;
        let adjacent = u32::from(rope.pairing == Pairing::Adjacent);
        let threads = n_heads * head_dim as u32;
        let work = Work::PerRow { shader: Shader::Rope, groups: threads.div_ceil(64), rows: Rows::Tokens };
        self.push(work, &[head_dim as u32, n_heads, rope.n_rot as u32, adjacent, table], &[x, out]);
        Ok(())
    }

    /// Attention into the buffers `out`: values, or their 8-bit form.
    pub(super) fn attention(&mut self, layer: KvId, q: ValueId, scale: f32, out: Vec<Buffer>, quantized: bool) {
        let (shape, kv) = (*self.plan.kv_layer(layer), self.kv.layer(layer));
        let (n_heads, n_kv_heads) = (self.width(q) / shape.head_dim as u32, shape.n_kv_heads as u32);
        let heads_per_kv = n_heads / n_kv_heads;
        self.heads_per_kv = self.heads_per_kv.max(heads_per_kv as usize);
        let params = [
            n_heads,
            n_kv_heads,
            shape.head_dim as u32,
            shape.window.unwrap_or(0) as u32,
            kv.group as u32,
            self.config.kv.page_len as u32,
            scale.to_bits(),
        ];
        let head_pairs = shape.head_dim as u32 / 2;
        let kv_kind = shader_kv(self.config.kv.element);
        let work = Work::Attention { kv: kv_kind, head_pairs, heads_per_kv, n_kv_heads, quantized };
        let read = [self.slot(q), kv.k.buffer.clone(), kv.v.buffer.clone(), self.partials.clone()];
        let scales = kv.scales.as_ref().map(|scales| scales.buffer.clone());
        let buffers = read.into_iter().chain(out.iter().cloned()).chain(scales).collect();
        self.push_buffers(work, &params, buffers);
        let buffers = [self.partials.clone()].into_iter().chain(out).collect();
        self.push_buffers(Work::Merge { n_heads, head_pairs, quantized }, &params, buffers);
    }

    pub(super) fn kv_write(&mut self, layer: KvId, k: ValueId, v: ValueId) {
        let (n_pairs, kv) = (self.width(k) / 2, self.kv.layer(layer));
        let buffers = [self.slot(k), self.slot(v)].into_iter().chain(kv.buffers()).collect();
        let shader = Shader::KvWrite { kv: shader_kv(self.config.kv.element) };
        let work = Work::PerRow { shader, groups: n_pairs.div_ceil(64), rows: Rows::Tokens };
        let params = [n_pairs, kv.group as u32, self.config.kv.page_len as u32];
        self.push_buffers(work, &params, buffers);
    }

    /// Rotates queries and keys, and writes keys and values.
    pub(super) fn rope_kv(
        &mut self,
        layer: KvId,
        [q, k, v]: [ValueId; 3],
        head_dim: usize,
        rope: Rope,
        out: ValueId,
    ) -> Result<(), Error> {
        let (table, kv) = (self.rope_table(rope)?, self.kv.layer(layer));
        let (n_heads, n_kv_heads) = (self.width(q) / head_dim as u32, self.width(k) / head_dim as u32);
        let params = [
            head_dim as u32,
            n_heads,
            rope.n_rot as u32,
            u32::from(rope.pairing == Pairing::Adjacent),
            table,
            n_kv_heads,
            kv.group as u32,
            self.config.kv.page_len as u32,
        ];
        let shader = Shader::RopeKv { kv: shader_kv(self.config.kv.element) };
        let threads = (self.width(q) + self.width(k)) / 2;
        let work = Work::PerRow { shader, groups: threads.div_ceil(64), rows: Rows::Tokens };
        let values = [q, k, v, out].map(|value| self.slot(value));
        let buffers = values.into_iter().chain(kv.buffers()).collect();
        self.push_buffers(work, &params, buffers);
        Ok(())
    }
}
