//! The order of a layer's keys and values.
//!
//! They are `[page][kv_head]` tiles of `page_len` positions each, with `len` items for each position. In a tile of values,
//! positions follow each other: `[position][len]`. In a tile of keys, groups of 16 positions do: `[group][len][16]`, so
//! that 16 dot products with a query grow in two vectors and no vector need be summed up. Where pages are not whole
//! groups, keys are stored as values are, and are regrouped as they are read.

use bytemuck::Pod;
use silhak_ops::{Error, Page};

use crate::executor::{Buffer, Shared};

/// Positions in a group of keys.
pub(crate) const GROUP: usize = 16;

const WHAT: &str = "keys and values";

/// The memory of a layer's pages.
#[derive(Debug)]
pub(super) struct PageBuffers<T> {
    shape: PageShape,
    k: Buffer<T>,
    v: Buffer<T>,
}

/// The pages of a layer, shared out to threads.
#[derive(Clone, Copy)]
pub(crate) struct Pages<'a, T> {
    shape: PageShape,
    k: Shared<'a, T>,
    v: Shared<'a, T>,
}

/// What a page holds of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageShape {
    /// Positions.
    pub(crate) page_len: usize,
    /// Heads.
    pub(crate) n_kv_heads: usize,
    /// Items of a head at one position, for keys and for values alike.
    pub(crate) len: usize,
}

/// A position of a head in a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) page: usize,
    /// Key-value head.
    pub(crate) head: usize,
    /// Position within the page.
    pub(crate) slot: usize,
}

impl PageShape {
    /// Positions per group of keys: 16, or 1 where pages are not whole groups.
    pub(crate) fn group_len(&self) -> usize {
        if self.page_len.is_multiple_of(GROUP) { GROUP } else { 1 }
    }
}

impl<T: Pod> PageBuffers<T> {
    /// Room for `n_pages` pages.
    pub(super) fn zeroed(n_pages: usize, shape: PageShape) -> Result<Self, Error> {
        let len = [shape.page_len, shape.n_kv_heads, shape.len].into_iter().try_fold(n_pages, usize::checked_mul);
        let len = len.ok_or(Error::OutOfMemory { what: WHAT, bytes: usize::MAX })?;
        Ok(PageBuffers { shape, k: Buffer::zeroed(len, WHAT)?, v: Buffer::zeroed(len, WHAT)? })
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.k.bytes() + self.v.bytes()
    }

    /// The pages, to be shared out to threads.
    pub(super) fn share(&self) -> Pages<'_, T> {
        Pages { shape: self.shape, k: self.k.share(), v: self.v.share() }
    }

    /// Copies a page over another; both must be there.
    pub(super) fn copy_page(&mut self, from: Page, to: Page) {
        let PageShape { page_len, n_kv_heads, len } = self.shape;
        let page = page_len * n_kv_heads * len;
        let (from, to) = (from.0 as usize * page, to.0 as usize * page);
        for items in [&mut self.k, &mut self.v] {
            items.as_mut_slice().copy_within(from..from + page, to);
        }
    }
}

impl<'a, T: Pod> Pages<'a, T> {
    /// What a page holds.
    pub(super) fn shape(&self) -> PageShape {
        self.shape
    }

    /// Stores some items of the key and of the value of one head, from item `first` on.
    ///
    /// # Safety
    /// Nobody else reads or writes the place meanwhile.
    ///
    /// # Panics
    /// If there are more than a head has.
    pub(super) unsafe fn write(&self, place: Place, first: usize, items: impl ExactSizeIterator<Item = (T, T)>) {
        let (len, group, n) = (self.shape.len, self.shape.group_len(), items.len());
        assert!(first + n <= len, "{n} items from {first} of {len}");
        let keys = self.group_start(place) + first * group + place.slot % group;
        let values = self.tile(place) + place.slot * len + first;
        // SAFETY: a part of the place that the caller has for itself.
        let values = unsafe { self.v.get_mut(values..values + n) };
        for (i, ((key, value), to)) in items.zip(values).enumerate() {
            *to = value;
            let at = keys + i * group;
            // SAFETY: as above.
            let to = unsafe { self.k.get_mut(at..at + 1) };
            to[0] = key;
        }
    }

    /// The keys of one head in the group at a place: `[len][group_len]`.
    ///
    /// # Safety
    /// Nobody writes them meanwhile.
    pub(super) unsafe fn keys(&self, place: Place) -> &'a [T] {
        let at = self.group_start(place);
        // SAFETY: the caller's promise.
        unsafe { self.k.get(at..at + self.shape.len * self.shape.group_len()) }
    }

    /// The values of one head at `n` places of a page: `[n][len]`.
    ///
    /// # Safety
    /// Nobody writes them meanwhile.
    pub(super) unsafe fn values(&self, place: Place, n: usize) -> &'a [T] {
        let at = self.tile(place) + place.slot * self.shape.len;
        // SAFETY: the caller's promise.
        unsafe { self.v.get(at..at + n * self.shape.len) }
    }

    fn group_start(&self, place: Place) -> usize {
        self.tile(place) + place.slot / self.shape.group_len() * self.shape.group_len() * self.shape.len
    }

    fn tile(&self, Place { page, head, .. }: Place) -> usize {
        (page * self.shape.n_kv_heads + head) * self.shape.page_len * self.shape.len
    }
}
