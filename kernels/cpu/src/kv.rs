//! Keys and values in pages, in the order in which attention reads them.
//!
//! A layer's keys and values are `[page][kv_head]` tiles of `page_len` positions each. In a tile of values, positions
//! follow each other: `[position][head_dim]`. In a tile of keys, groups of 16 positions do: `[group][head_dim][16]`, so
//! that 16 dot products with a query grow in two vectors and no vector need be summed up. Where pages are not whole
//! groups, keys are stored as values are, and are regrouped as they are read.

use half::f16;
use silhak_ops::{Batch, Error, KvConfig, KvElement, KvGroup, KvId, KvLayer, Page, PageTable, Plan};

use crate::executor::{Buffer, Shared};
use crate::simd::{LANES, Simd};

/// Positions in a group of keys.
pub(crate) const GROUP: usize = 16;

/// How a key or a value is stored.
pub(crate) trait Element: bytemuck::Pod + Send + Sync {
    /// Rounds to the nearest.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn to_f32(self) -> f32;
    /// Eight of them as float32.
    fn load<S: Simd>(s: S, x: &[Self; LANES]) -> S::V;
}

impl Element for f32 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[f32; LANES]) -> S::V {
        s.load(x)
    }
}

impl Element for f16 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        f16::from_f32(x)
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[f16; LANES]) -> S::V {
        s.load_f16(x)
    }
}

/// The pages of every layer.
#[derive(Debug)]
pub(crate) struct KvStore {
    page_len: usize,
    groups: Vec<KvGroup>,
    n_pages: Vec<usize>,
    layers: Vec<LayerStore>,
}

/// One layer's pages.
#[derive(Debug)]
pub(crate) struct LayerStore {
    /// The layer's shape.
    pub(crate) shape: KvLayer,
    /// The group whose page tables it uses.
    pub(crate) group: usize,
    tiles: Tiles,
}

#[derive(Debug)]
enum Tiles {
    F16 { k: Buffer<f16>, v: Buffer<f16> },
    F32 { k: Buffer<f32>, v: Buffer<f32> },
}

/// A layer's keys and values, shared out to threads.
#[derive(Clone, Copy)]
pub(crate) enum LayerView<'a> {
    /// In half precision.
    F16(Pages<'a, f16>),
    /// In single precision.
    F32(Pages<'a, f32>),
}

/// The tiles of a layer.
#[derive(Clone, Copy)]
pub(crate) struct Pages<'a, E> {
    pub(crate) shape: KvLayer,
    pub(crate) page_len: usize,
    k: Shared<'a, E>,
    v: Shared<'a, E>,
}

impl KvStore {
    /// Room for all pages of all layers.
    pub(crate) fn new(plan: &Plan, config: &KvConfig) -> Result<Self, Error> {
        let groups = plan.kv_groups();
        check(&groups, config)?;
        let mut group_of = vec![0; plan.kv_layers().len()];
        for (i, group) in groups.iter().enumerate() {
            group.layers.iter().for_each(|layer| group_of[layer.index()] = i);
        }
        let layer = |(&shape, &group): (&KvLayer, &usize)| {
            let n_pages = config.n_pages[group];
            let len = n_pages.checked_mul(config.page_len).and_then(|n| n.checked_mul(shape.width()));
            let len = len.ok_or(Error::OutOfMemory { what: WHAT, bytes: usize::MAX })?;
            let tiles = match config.element {
                KvElement::F16 => Tiles::F16 { k: Buffer::zeroed(len, WHAT)?, v: Buffer::zeroed(len, WHAT)? },
                KvElement::F32 => Tiles::F32 { k: Buffer::zeroed(len, WHAT)?, v: Buffer::zeroed(len, WHAT)? },
            };
            Ok(LayerStore { shape, group, tiles })
        };
        let layers = plan.kv_layers().iter().zip(&group_of).map(layer).collect::<Result<_, Error>>()?;
        Ok(KvStore { page_len: config.page_len, groups, n_pages: config.n_pages.clone(), layers })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |layer: &LayerStore| match &layer.tiles {
            Tiles::F16 { k, v } => k.bytes() + v.bytes(),
            Tiles::F32 { k, v } => k.bytes() + v.bytes(),
        };
        self.layers.iter().map(bytes).sum()
    }

    /// The groups of the plan's layers.
    pub(crate) fn groups(&self) -> &[KvGroup] {
        &self.groups
    }

    /// A layer's pages, and the group whose page tables lead to them.
    pub(crate) fn layer(&self, id: KvId) -> (LayerView<'_>, usize) {
        let LayerStore { shape, group, tiles } = &self.layers[id.index()];
        let (shape, page_len) = (*shape, self.page_len);
        let view = match tiles {
            Tiles::F16 { k, v } => LayerView::F16(Pages { shape, page_len, k: k.share(), v: v.share() }),
            Tiles::F32 { k, v } => LayerView::F32(Pages { shape, page_len, k: k.share(), v: v.share() }),
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
            let len = self.page_len * layer.shape.width();
            match &mut layer.tiles {
                Tiles::F16 { k, v } => [k, v].into_iter().for_each(|tiles| copy(tiles, len, from, to)),
                Tiles::F32 { k, v } => [k, v].into_iter().for_each(|tiles| copy(tiles, len, from, to)),
            }
        }
        Ok(())
    }
}

fn copy<E: Element>(tiles: &mut Buffer<E>, page: usize, from: Page, to: Page) {
    let start = from.0 as usize * page;
    tiles.as_mut_slice().copy_within(start..start + page, to.0 as usize * page);
}

/// Checks what [`KvStore::new`] relies on.
pub(crate) fn check(groups: &[KvGroup], config: &KvConfig) -> Result<(), Error> {
    if config.n_pages.len() != groups.len() {
        return Err(Error::Count { what: "key-value groups", expected: groups.len(), found: config.n_pages.len() });
    }
    if config.page_len == 0 && !groups.is_empty() {
        return Err(Error::Count { what: "positions per key-value page", expected: 1, found: 0 });
    }
    Ok(())
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

impl<'a, E: Element> Pages<'a, E> {
    /// Positions per group of keys: 16, or 1 where pages are not whole groups.
    pub(crate) fn group_len(&self) -> usize {
        if self.page_len.is_multiple_of(GROUP) { GROUP } else { 1 }
    }

    /// Stores one token's keys and values, `[n_kv_heads, head_dim]`.
    ///
    /// # Safety
    /// Nobody else reads or writes the place `slot` of `page` meanwhile.
    pub(crate) unsafe fn write(&self, page: usize, slot: usize, k: &[f32], v: &[f32]) {
        let (head_dim, group) = (self.shape.head_dim, self.group_len());
        for (head, (k, v)) in k.chunks_exact(head_dim).zip(v.chunks_exact(head_dim)).enumerate() {
            let tile = self.tile(page, head);
            let keys = tile + slot / group * group * head_dim;
            for (i, &x) in k.iter().enumerate() {
                let at = keys + i * group + slot % group;
                // SAFETY: an item of the place that the caller has for itself.
                let key = unsafe { self.k.get_mut(at..at + 1) };
                key[0] = E::from_f32(x);
            }
            let at = tile + slot * head_dim;
            // SAFETY: as above.
            let values = unsafe { self.v.get_mut(at..at + head_dim) };
            values.iter_mut().zip(v).for_each(|(to, &x)| *to = E::from_f32(x));
        }
    }

    /// The keys of `n_groups` groups of one head, from group `group` of `page`: `[n_groups][head_dim][group_len]`.
    ///
    /// # Safety
    /// Nobody writes them meanwhile.
    pub(crate) unsafe fn keys(&self, page: usize, head: usize, group: usize, n_groups: usize) -> &'a [E] {
        let len = self.shape.head_dim * self.group_len();
        let at = self.tile(page, head) + group * len;
        // SAFETY: the caller's promise.
        unsafe { self.k.get(at..at + n_groups * len) }
    }

    /// The values of one head at `n` places of `page` from `slot`: `[n][head_dim]`.
    ///
    /// # Safety
    /// Nobody writes them meanwhile.
    pub(crate) unsafe fn values(&self, page: usize, head: usize, slot: usize, n: usize) -> &'a [E] {
        let at = self.tile(page, head) + slot * self.shape.head_dim;
        // SAFETY: the caller's promise.
        unsafe { self.v.get(at..at + n * self.shape.head_dim) }
    }

    fn tile(&self, page: usize, head: usize) -> usize {
        (page * self.shape.n_kv_heads + head) * self.page_len * self.shape.head_dim
    }
}

const WHAT: &str = "keys and values";
