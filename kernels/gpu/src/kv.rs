//! Pages of keys and values on the device.

use silhak_ops::{Error, KvConfig, KvElement, KvGroup, KvId, Page, Plan};
use silhak_shaders::Kv;
use wgpu::{BufferUsages, CommandEncoderDescriptor};

use crate::buffer::Buffer;
use crate::device::Device;

const WHAT: &str = "keys and values";

/// The pages of all layers.
#[derive(Debug)]
pub(crate) struct KvStore {
    layers: Vec<Layer>,
    n_pages: Vec<usize>,
    /// Holds a page on its way: a copy within one buffer needs a stop in another.
    spare: Buffer,
}

/// The pages of one layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) group: usize,
    /// `[n_pages, page_len, n_kv_heads, head_dim]`.
    pub(crate) k: Pages,
    /// Likewise.
    pub(crate) v: Pages,
    /// Of 8-bit keys and values the scales, a word for those of both: `[n_pages, page_len, n_kv_heads, head_dim / 32]`.
    pub(crate) scales: Option<Pages>,
}

#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) buffer: Buffer,
    page_bytes: u64,
}

impl KvStore {
    pub(crate) fn new(device: &Device, plan: &Plan, groups: &[KvGroup], config: &KvConfig) -> Result<Self, Error> {
        config.check(plan)?;
        let mut layers = Vec::with_capacity(plan.kv_layers().len());
        for (i, shape) in plan.kv_layers().iter().enumerate() {
            let is_in = |group: &KvGroup| group.layers.iter().any(|layer| layer.index() == i);
            let Some(group) = groups.iter().position(is_in) else { continue };
            let pages = |token_bytes: usize| {
                let page_bytes = (config.page_len * token_bytes) as u64;
                let bytes = page_bytes.saturating_mul(config.n_pages[group] as u64);
                Ok::<_, Error>(Pages { buffer: device.storage(WHAT, bytes)?, page_bytes })
            };
            let width = shape.width();
            let (token_bytes, scale_bytes) = match config.element {
                KvElement::F16 | KvElement::F32 => (config.element.bytes(width), None),
                KvElement::Q8_0 => (width, Some(2 * (config.element.bytes(width) - width))),
            };
            let (k, v) = (pages(token_bytes)?, pages(token_bytes)?);
            layers.push(Layer { group, k, v, scales: scale_bytes.map(pages).transpose()? });
        }
        let largest = layers.iter().map(|layer| layer.k.page_bytes).max().unwrap_or(0);
        let spare = device.buffer(WHAT, largest, BufferUsages::COPY_SRC | BufferUsages::COPY_DST)?;
        Ok(KvStore { layers, n_pages: config.n_pages.clone(), spare })
    }

    pub(crate) fn layer(&self, id: KvId) -> &Layer {
        &self.layers[id.index()]
    }

    /// Copies a page over another in all layers of a group.
    pub(crate) fn copy_page(&self, device: &Device, group: usize, from: Page, to: Page) -> Result<(), Error> {
        let Some(&n_pages) = self.n_pages.get(group) else {
            let n = self.n_pages.len();
            return Err(Error::Batch(format!("copy_page: expected a group below {n}, found {group}")));
        };
        if let Some(page) = [from, to].iter().find(|page| page.0 as usize >= n_pages) {
            return Err(Error::Batch(format!("copy_page: expected pages below {n_pages}, found {}", page.0)));
        }
        device.checked("a copy of a page", 0, || {
            let mut encoder = device.device.create_command_encoder(&CommandEncoderDescriptor::default());
            for layer in self.layers.iter().filter(|layer| layer.group == group) {
                for Pages { buffer, page_bytes: n } in [&layer.k, &layer.v].into_iter().chain(&layer.scales) {
                    let (n, from, to) = (*n, u64::from(from.0), u64::from(to.0));
                    encoder.copy_buffer_to_buffer(buffer, from * n, &self.spare, 0, n);
                    encoder.copy_buffer_to_buffer(&self.spare, 0, buffer, to * n, n);
                }
            }
            device.queue.submit([encoder.finish()]);
        })?;
        Ok(())
    }
}

impl Layer {
    /// What keys and values are written to.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = Buffer> {
        [&self.k, &self.v].into_iter().chain(&self.scales).map(|pages| pages.buffer.clone())
    }
}

pub(crate) fn shader_kv(element: KvElement) -> Kv {
    match element {
        KvElement::F16 => Kv::F16,
        KvElement::F32 => Kv::F32,
        KvElement::Q8_0 => Kv::Q8_0,
    }
}
