//! GGUF files put together byte by byte, so that any rule can be broken.

/// A file in the making. Numbers are little endian; nothing is checked.
#[derive(Clone, Default)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

/// Ids of value types.
pub(crate) const U8: u32 = 0;
pub(crate) const U32: u32 = 4;
pub(crate) const F32: u32 = 6;
pub(crate) const BOOL: u32 = 7;
pub(crate) const STRING: u32 = 8;
pub(crate) const ARRAY: u32 = 9;
pub(crate) const U64: u32 = 10;

/// Ids of tensor types.
pub(crate) const T_F32: u32 = 0;
pub(crate) const T_Q4_K: u32 = 12;

impl Raw {
    /// Magic, version 3, counts.
    pub(crate) fn v3(n_tensors: u64, n_metadata: u64) -> Raw {
        Raw::default().bytes(b"GGUF").u32(3).u64(n_tensors).u64(n_metadata)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Raw {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn u32(self, number: u32) -> Raw {
        self.bytes(&number.to_le_bytes())
    }

    pub(crate) fn u64(self, number: u64) -> Raw {
        self.bytes(&number.to_le_bytes())
    }

    /// Length and text.
    pub(crate) fn string(self, text: impl AsRef<[u8]>) -> Raw {
        let text = text.as_ref();
        self.u64(text.len() as u64).bytes(text)
    }

    /// Key and value type; the value comes next.
    pub(crate) fn key(self, key: &str, ty: u32) -> Raw {
        self.string(key).u32(ty)
    }

    /// Key of an array, its element type and count; the elements come next.
    pub(crate) fn array(self, key: &str, element: u32, count: u64) -> Raw {
        self.key(key, ARRAY).u32(element).u64(count)
    }

    /// A tensor entry.
    pub(crate) fn tensor(self, name: &str, dims: &[u64], ty: u32, offset: u64) -> Raw {
        let raw = self.string(name).u32(dims.len() as u32);
        dims.iter().fold(raw, |raw, &dim| raw.u64(dim)).u32(ty).u64(offset)
    }

    /// Zeros up to a multiple of `alignment`.
    pub(crate) fn pad(mut self, alignment: usize) -> Raw {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
        self
    }

    /// `n` bytes of tensor data, after padding to 32.
    pub(crate) fn data(self, n: usize) -> Raw {
        self.pad(32).bytes(&vec![0x5a; n])
    }
}
