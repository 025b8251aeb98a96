//! How the keys and values of a token are stored, and how attention reads them.

use silhak_ops::{Error, PageTable};

use super::{Element, PageShape, Place, page};
use crate::simd::Simd;

/// Keys and values in float32, whatever they are stored as.
pub(crate) trait KvAccess: Copy {
    /// What attention multiplies: what is stored, where that needs no room.
    type Element: Element;

    /// Most values that are read at a time.
    const MOST_VALUES: usize;

    /// What a page holds.
    fn shape(&self) -> PageShape;

    /// Stores the key and the value of one head, `[head_dim]`.
    ///
    /// # Safety
    /// Nobody else reads or writes the place meanwhile.
    unsafe fn write_head(&self, place: Place, key: &[f32], value: &[f32]);

    /// Stores one token's keys and values, `[n_kv_heads, head_dim]`.
    ///
    /// # Safety
    /// Nobody else reads or writes the place of `position` meanwhile.
    unsafe fn write_token(&self, table: &PageTable, position: usize, k: &[f32], v: &[f32]) -> Result<(), Error> {
        let PageShape { page_len, len, .. } = self.shape();
        let (page, slot) = (page(table, position / page_len)?, position % page_len);
        for (head, (key, value)) in k.chunks_exact(len).zip(v.chunks_exact(len)).enumerate() {
            // SAFETY: the caller's promise.
            unsafe { self.write_head(Place { page, head, slot }, key, value) }
        }
        Ok(())
    }

    /// The keys of the whole group at a place: `[head_dim][GROUP]`, for which `room` has place.
    ///
    /// # Safety
    /// Nobody writes them meanwhile.
    unsafe fn read_keys<'b, S: Simd>(&'b self, s: S, place: Place, room: &'b mut [f32]) -> &'b [Self::Element];

    /// The key at a place, `[head_dim]`, where pages are not whole groups.
    ///
    /// # Safety
    /// Nobody writes it meanwhile.
    unsafe fn read_key(&self, place: Place) -> impl Iterator<Item = f32>;

    /// The values at up to [`KvAccess::MOST_VALUES`] places of a page: `[n][head_dim]`. `room` has place for `GROUP`.
    ///
    /// # Safety
    /// Nobody writes them meanwhile.
    unsafe fn read_values<'b, S: Simd>(
        &'b self,
        s: S,
        place: Place,
        n: usize,
        room: &'b mut [f32],
    ) -> &'b [Self::Element];
}
