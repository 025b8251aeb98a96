//! Key-value pages as the reference keeps them: `[layer][page][position][n_kv_heads * head_dim]`.

use half::f16;
use silhak_quant::blocks::BlockQ8_0;
use silhak_quant::quantize_kv;

use crate::{Batch, Error, KvConfig, KvElement, KvGroup, KvId, KvLayer, Page, Plan};

const WHAT: &str = "keys and values";

pub(super) struct KvStore {
    config: KvConfig,
    layers: Vec<LayerStore>,
}

struct LayerStore {
    shape: KvLayer,
    group: usize,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl KvStore {
    pub(super) fn new(plan: &Plan, groups: &[KvGroup], config: &KvConfig) -> Result<Self, Error> {
        config.check(plan)?;
        let layer = |(i, &shape): (usize, &KvLayer)| {
            let group = groups.iter().position(|g| g.layers.contains(&KvId(i))).expect("every layer is in a group");
            let len = config.n_pages[group].checked_mul(config.page_len).and_then(|n| n.checked_mul(shape.width()));
            let len = len.ok_or(Error::OutOfMemory { what: WHAT, bytes: usize::MAX })?;
            let zeros = || {
                let mut data = Vec::new();
                data.try_reserve_exact(len)
                    .map_err(|_| Error::OutOfMemory { what: WHAT, bytes: len.saturating_mul(4) })?;
                data.resize(len, 0.0);
                Ok::<_, Error>(data)
            };
            Ok(LayerStore { shape, group, k: zeros()?, v: zeros()? })
        };
        let layers = plan.kv_layers().iter().enumerate().map(layer).collect::<Result<_, Error>>()?;
        Ok(KvStore { config: config.clone(), layers })
    }

    pub(super) fn bytes(&self) -> usize {
        self.layers.iter().map(|l| 4 * (l.k.len() + l.v.len())).sum()
    }

    pub(super) fn shape(&self, layer: KvId) -> KvLayer {
        self.layers[layer.index()].shape
    }

    /// Stores rows `[n_tokens, width]`, rounded to the configured element.
    pub(super) fn write(&mut self, layer: KvId, batch: &Batch, k: &[f32], v: &[f32]) {
        let width = self.shape(layer).width();
        let element = self.config.element;
        for (i, (&sequence, &position)) in batch.sequences().iter().zip(batch.positions()).enumerate() {
            let at = self.offset(layer, batch, sequence, position as usize);
            let store = &mut self.layers[layer.index()];
            for (to, from) in [(&mut store.k, k), (&mut store.v, v)] {
                round(element, &from[i * width..(i + 1) * width], &mut to[at..at + width]);
            }
        }
    }

    /// The keys and values of one head at one position: `[head_dim]` each.
    pub(super) fn read(&self, layer: KvId, batch: &Batch, seq: u32, position: usize, head: usize) -> (&[f32], &[f32]) {
        let LayerStore { shape, k, v, .. } = &self.layers[layer.index()];
        let at = self.offset(layer, batch, seq, position) + head * shape.head_dim;
        (&k[at..at + shape.head_dim], &v[at..at + shape.head_dim])
    }

    /// Copies a page over another in all layers of a group.
    pub(super) fn copy_page(&mut self, group: usize, from: Page, to: Page) -> Result<(), Error> {
        let Some(&n_pages) = self.config.n_pages.get(group) else {
            let n = self.config.n_pages.len();
            return Err(Error::Batch(format!("copy_page: expected a group below {n}, found {group}")));
        };
        if let Some(page) = [from, to].iter().find(|page| page.0 as usize >= n_pages) {
            return Err(Error::Batch(format!("copy_page: expected pages below {n_pages}, found {}", page.0)));
        }
        for store in self.layers.iter_mut().filter(|store| store.group == group) {
            let len = self.config.page_len * store.shape.width();
            for data in [&mut store.k, &mut store.v] {
                data.copy_within(from.0 as usize * len..(from.0 as usize + 1) * len, to.0 as usize * len);
            }
        }
        Ok(())
    }

    fn offset(&self, layer: KvId, batch: &Batch, sequence: u32, position: usize) -> usize {
        let LayerStore { shape, group, .. } = &self.layers[layer.index()];
        let page_len = self.config.page_len;
        let page = batch.page_table(sequence, *group)[position / page_len].expect("Batch::check saw this page");
        (page.0 as usize * page_len + position % page_len) * shape.width()
    }
}

/// Values as they come back from where they are stored.
fn round(element: KvElement, from: &[f32], to: &mut [f32]) {
    match element {
        KvElement::F32 => to.copy_from_slice(from),
        KvElement::F16 => to.iter_mut().zip(from).for_each(|(to, &x)| *to = f16::from_f32(x).to_f32()),
        KvElement::Q8_0 => {
            for (to, from) in to.as_chunks_mut::<32>().0.iter_mut().zip(from.as_chunks::<32>().0) {
                let BlockQ8_0 { d, qs } = quantize_kv(from);
                *to = qs.map(|q| d.to_f32() * f32::from(q));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PlanBuilder;

    fn store(page_len: usize, n_pages: usize) -> Result<KvStore, Error> {
        let p = PlanBuilder::new();
        let input = p.input(6);
        let layer = p.kv_layer(KvLayer { n_kv_heads: 2, head_dim: 3, window: None });
        p.kv_write(layer, input, input);
        p.output(input);
        let plan = p.finish()?;
        KvStore::new(&plan, &plan.kv_groups(), &KvConfig { page_len, n_pages: vec![n_pages], element: KvElement::F32 })
    }

    #[test]
    fn sizes_that_no_memory_holds_are_an_error() {
        for (page_len, n_pages) in [(64, usize::MAX / 64), (2, usize::MAX), (1, 1 << 55)] {
            assert!(
                matches!(store(page_len, n_pages), Err(Error::OutOfMemory { .. })),
                "{n_pages} pages of {page_len}"
            );
        }
        assert!(matches!(store(0, 1), Err(Error::Count { .. })));
    }

    #[test]
    fn copying_a_page_that_is_not_there_is_an_error() {
        let mut store = store(4, 2).unwrap();
        store.layers[0].k[0] = 7.0;
        store.copy_page(0, Page(0), Page(1)).unwrap();
        assert_eq!(store.layers[0].k[4 * 6], 7.0);
        for (group, from, to) in [(1, 0, 1), (0, 2, 0), (0, 0, 2)] {
            assert!(matches!(store.copy_page(group, Page(from), Page(to)), Err(Error::Batch(_))));
        }
    }
}
