//! Memory that a team of threads writes in parts.

use std::alloc::{self, Layout};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;

use bytemuck::Pod;
use silhak_ops::Error;

/// Zeroed memory, aligned to cache lines, that the system need not provide before it is touched.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    data: NonNull<T>,
    len: usize,
}

// SAFETY: a buffer owns its memory, like a `Vec` of plain numbers.
unsafe impl<T: Pod + Send> Send for Buffer<T> {}
// SAFETY: a shared buffer gives out nothing but `Shared`, whose users promise to keep writers apart.
unsafe impl<T: Pod + Sync> Sync for Buffer<T> {}

impl<T: Pod> Buffer<T> {
    /// Room for `len` items, all zero. `what` is named in the error.
    pub(crate) fn zeroed(len: usize, what: &'static str) -> Result<Self, Error> {
        let refused = || Error::OutOfMemory { what, bytes: len.saturating_mul(size_of::<T>()) };
        if len == 0 {
            return Ok(Buffer { data: NonNull::dangling(), len: 0 });
        }
        let layout = Self::layout(len).ok_or_else(refused)?;
        // SAFETY: the size is not zero.
        let data = NonNull::new(unsafe { alloc::alloc_zeroed(layout) }.cast::<T>()).ok_or_else(refused)?;
        Ok(Buffer { data, len })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }

    /// The memory, to be shared out to threads.
    pub(crate) fn share(&self) -> Shared<'_, T> {
        Shared { data: self.data, len: self.len, memory: PhantomData }
    }

    /// The memory, while nobody else has it.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: `data` points to `len` initialized items (all zeros are a value of a `Pod`), borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

impl<T> Buffer<T> {
    fn layout(len: usize) -> Option<Layout> {
        Layout::array::<T>(len).ok()?.align_to(CACHE_LINE).ok()
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len)
            && layout.size() > 0
        {
            // SAFETY: `zeroed` allocated this memory with the same layout.
            unsafe { alloc::dealloc(self.data.as_ptr().cast(), layout) }
        }
    }
}

/// Memory of which different threads read and write different parts at the same time.
///
/// Which parts are whose is the business of the steps that work on it; what each may rely on is that of
/// [`Shared::get`] and [`Shared::get_mut`].
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    data: NonNull<T>,
    len: usize,
    memory: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: plain memory; whoever reads or writes it promises that nobody else does so at the same time.
unsafe impl<T: Pod + Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Pod + Send> Sync for Shared<'_, T> {}

impl<'a, T: Pod> Shared<'a, T> {
    /// Shares out a slice.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Shared { data: NonNull::from(&mut *slice).cast(), len: slice.len(), memory: PhantomData }
    }

    /// Number of items.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// The first of `n` items, for those who write parts that no slice can express.
    ///
    /// # Panics
    /// If there are fewer.
    pub(crate) fn get_raw(self, n: usize) -> *mut T {
        assert!(n <= self.len, "{n} of {}", self.len);
        self.data.as_ptr()
    }

    /// Items to read.
    ///
    /// # Safety
    /// Nobody writes any of them while the slice is in use.
    ///
    /// # Panics
    /// If they are not within the memory.
    pub(crate) unsafe fn get(self, range: Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: within the memory, which is initialized; the caller keeps writers away.
        unsafe { slice::from_raw_parts(self.data.as_ptr().add(range.start), range.len()) }
    }

    /// Items to write.
    ///
    /// # Safety
    /// Nobody else reads or writes any of them while the slice is in use.
    ///
    /// # Panics
    /// If they are not within the memory.
    pub(crate) unsafe fn get_mut(self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: within the memory, which is initialized; the caller keeps everybody else away.
        unsafe { slice::from_raw_parts_mut(self.data.as_ptr().add(range.start), range.len()) }
    }
}

/// What one core takes from another or from memory at a time, in bytes.
pub(super) const CACHE_LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_zeroed_and_aligned() {
        let mut buffer = Buffer::<f32>::zeroed(1001, "a test").unwrap();
        assert!(buffer.as_mut_slice().iter().all(|&x| x == 0.0));
        assert_eq!(buffer.as_mut_slice().as_ptr().addr() % CACHE_LINE, 0);
        assert_eq!(buffer.bytes(), 4004);
        assert_eq!(Buffer::<f32>::zeroed(0, "a test").unwrap().as_mut_slice(), &[0.0; 0]);
    }

    #[test]
    fn too_much_is_an_error_that_says_what_for() {
        let error = Buffer::<f32>::zeroed(usize::MAX / 2, "a test").unwrap_err().to_string();
        assert!(error.contains("a test"), "{error}");
    }

    #[test]
    #[should_panic(expected = "4..6 of 5")]
    fn parts_are_checked() {
        let mut items = [0u32; 5];
        // SAFETY: nobody else has the array.
        unsafe { Shared::new(&mut items).get(4..6) };
    }
}
