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
pub(super) struct PageShape {
    pub(super) page_len: usize,
    pub(super) n_kv_heads: usize,
    /// Items of a head at one position, for keys and for values alike.
    pub(super) len: usize,
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
    /// Items of a head at one position.
    pub(super) fn len(&self) -> usize {
        self.shape.len
    }

    /// Positions per page.
    pub(crate) fn page_len(&self) -> usize {
        self.shape.page_len
    }

    /// Positions per group of keys: 16, or 1 where pages are not whole groups.
    pub(crate) fn group_len(&self) -> usize {
        if self.shape.page_len.is_multiple_of(GROUP) { GROUP } else { 1 }
    }

    /// Stores the key and the value of one head, `len` items each, at the place `slot` of `page`.
    ///
    /// # Safety
    /// Nobody else reads or writes them meanwhile.
    pub(super) unsafe fn write(
        &self,
        page: usize,
        head: usize,
        slot: usize,
        key: impl Iterator<Item = T>,
        value: impl Iterator<Item = T>,
    ) {
        let (len, group) = (self.shape.len, self.group_len());
        let tile = self.tile(page, head);
        let keys = tile + slot / group * group * len + slot % group;
        for (i, item) in (0..len).zip(key) {
            let at = keys + i * group;
            // SAFETY: an item of the place that the caller has for itself.
            let place = unsafe { self.k.get_mut(at..at + 1) };
            place[0] = item;
        }
        let at = tile + slot * len;
        // SAFETY: as above.
        let values = unsafe { self.v.get_mut(at..at + len) };
        values.iter_mut().zip(value).for_each(|(to, item)| *to = item);
    }

    /// The keys of one group of one head, from group `group` of `page`: `[len][group_len]`.
    ///
    /// # Safety
    /// Nobody writes them meanwhile.
    pub(crate) unsafe fn keys(&self, page: usize, head: usize, group: usize) -> &'a [T] {
        let len = self.shape.len * self.group_len();
        let at = self.tile(page, head) + group * len;
        // SAFETY: the caller's promise.
        unsafe { self.k.get(at..at + len) }
    }

    /// The values of one head at `n` places of `page` from `slot`: `[n][len]`.
    ///
    /// # Safety
    /// Nobody writes them meanwhile.
    pub(crate) unsafe fn values(&self, page: usize, head: usize, slot: usize, n: usize) -> &'a [T] {
        let at = self.tile(page, head) + slot * self.shape.len;
        // SAFETY: the caller's promise.
        unsafe { self.v.get(at..at + n * self.shape.len) }
    }

    fn tile(&self, page: usize, head: usize) -> usize {
        (page * self.shape.n_kv_heads + head) * self.shape.page_len * self.shape.len
    }
}
