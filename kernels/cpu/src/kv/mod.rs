//! Keys and values in pages, as attention reads them: [`pages`] says in which order, [`floats`] and [`q8_0`] as what.

mod access;
mod floats;
mod pages;
mod q8_0;

use half::f16;
use silhak_ops::{Batch, Error, KvConfig, KvElement, KvGroup, KvId, KvLayer, Page, PageTable, Plan};

pub(crate) use access::KvAccess;
pub(crate) use floats::Element;
use pages::PageBuffers;
pub(crate) use pages::{GROUP, PageShape, Pages, Place};
use q8_0::{Q8_0Buffers, Q8_0Pages};

/// The pages of every layer.
#[derive(Debug)]
pub(crate) struct KvStore {
    groups: Vec<KvGroup>,
    n_pages: Vec<usize>,
    layers: Vec<LayerStore>,
}

/// One layer's pages.
#[derive(Debug)]
struct LayerStore {
    /// The group whose page tables it uses.
    group: usize,
    pages: LayerPages,
}

#[derive(Debug)]
enum LayerPages {
    F16(PageBuffers<f16>),
    F32(PageBuffers<f32>),
    Q8_0(Q8_0Buffers),
}

/// A layer's keys and values, shared out to threads.
#[derive(Clone, Copy)]
pub(crate) enum LayerView<'a> {
    /// In half precision.
    F16(Pages<'a, f16>),
    /// In single precision.
    F32(Pages<'a, f32>),
    /// In 8 bits.
    Q8_0(Q8_0Pages<'a>),
}

impl KvStore {
    /// Room for all pages of all layers.
    pub(crate) fn new(plan: &Plan, config: &KvConfig) -> Result<Self, Error> {
        let groups = plan.kv_groups();
        config.check(plan)?;
        let mut group_of = vec![0; plan.kv_layers().len()];
        for (i, group) in groups.iter().enumerate() {
            group.layers.iter().for_each(|layer| group_of[layer.index()] = i);
        }
        let layer = |(shape, &group): (&KvLayer, &usize)| {
            let n_pages = config.n_pages[group];
            let &KvLayer { n_kv_heads, head_dim, .. } = shape;
            let shape = PageShape { page_len: config.page_len, n_kv_heads, len: head_dim };
            let pages = match config.element {
                KvElement::F16 => LayerPages::F16(PageBuffers::zeroed(n_pages, shape)?),
                KvElement::F32 => LayerPages::F32(PageBuffers::zeroed(n_pages, shape)?),
                KvElement::Q8_0 => LayerPages::Q8_0(Q8_0Buffers::zeroed(n_pages, shape)?),
            };
            Ok(LayerStore { group, pages })
        };
        let layers = plan.kv_layers().iter().zip(&group_of).map(layer).collect::<Result<_, Error>>()?;
        Ok(KvStore { groups, n_pages: config.n_pages.clone(), layers })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |layer: &LayerStore| match &layer.pages {
            LayerPages::F16(pages) => pages.bytes(),
            LayerPages::F32(pages) => pages.bytes(),
            LayerPages::Q8_0(pages) => pages.bytes(),
        };
        self.layers.iter().map(bytes).sum()
    }

    /// The groups of the plan's layers.
    pub(crate) fn groups(&self) -> &[KvGroup] {
        &self.groups
    }

    /// A layer's pages, and the group whose page tables lead to them.
    pub(crate) fn layer(&self, id: KvId) -> (LayerView<'_>, usize) {
        let LayerStore { group, pages } = &self.layers[id.index()];
        let view = match pages {
            LayerPages::F16(pages) => LayerView::F16(pages.share()),
            LayerPages::F32(pages) => LayerView::F32(pages.share()),
            LayerPages::Q8_0(pages) => LayerView::Q8_0(pages.share()),
        };
        (view, *group)
    }

    /// Copies a page over another in all layers of a group.
    pub(crate) fn copy_page(&mut self, group: usize, from: Page, to: Page) -> Result<(), Error> {
        let Some(&n_pages) = self.n_pages.get(group) else {
            let n = self.n_pages.len();
            return Err(Error::Batch(format!("copy_page: expected a group below {n}, found {group}")));
        };
        if let Some(page) = [from, to].iter().find(|page| page.0 as usize >= n_pages) {
            return Err(Error::Batch(format!("copy_page: expected pages below {n_pages}, found {}", page.0)));
        }
        for layer in self.layers.iter_mut().filter(|layer| layer.group == group) {
            match &mut layer.pages {
                LayerPages::F16(pages) => pages.copy_page(from, to),
                LayerPages::F32(pages) => pages.copy_page(from, to),
                LayerPages::Q8_0(pages) => pages.copy_page(from, to),
            }
        }
        Ok(())
    }
}

impl LayerView<'_> {
    /// Stores one token's keys and values, `[n_kv_heads, head_dim]`, in its page.
    ///
    /// # Safety
    /// Nobody else reads or writes the place of `position` meanwhile.
    pub(crate) unsafe fn write(self, table: &PageTable, position: usize, k: &[f32], v: &[f32]) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                LayerView::F16(pages) => pages.write_token(table, position, k, v),
                LayerView::F32(pages) => pages.write_token(table, position, k, v),
                LayerView::Q8_0(pages) => pages.write_token(table, position, k, v),
            }
        }
    }
}

/// Checks that no two tokens of a batch are to be stored in one place, which two threads could then write at once.
/// `places` is room to sort in.
pub(crate) fn check_places(
    batch: &Batch,
    groups: &[KvGroup],
    page_len: usize,
    places: &mut Vec<u64>,
) -> Result<(), Error> {
    for group in 0..groups.len() {
        places.clear();
        for (&sequence, &position) in batch.sequences().iter().zip(batch.positions()) {
            let position = position as usize;
            let page = page(batch.page_table(sequence, group), position / page_len)?;
            places.push((page * page_len + position % page_len) as u64);
        }
        places.sort_unstable();
        if let Some(pair) = places.windows(2).find(|pair| pair[0] == pair[1]) {
            let page = pair[0] / page_len as u64;
            return Err(Error::Batch(format!(
                "two tokens would be stored in the same place of page {page} of group {group}; copy a page before \
                 sequences that share it grow apart"
            )));
        }
    }
    Ok(())
}

/// The page of a table's entry.
pub(crate) fn page(table: &PageTable, index: usize) -> Result<usize, Error> {
    match table.get(index) {
        Some(Some(page)) => Ok(page.0 as usize),
        _ => Err(Error::Batch(format!("the page table has no page at {index}"))),
    }
}
