//! ggml's block formats behind safe functions.

use anyhow::{Context, Result, bail};
use llama_cpp_sys_2 as sys;
use std::ffi::c_void;

/// A type of ggml's `enum ggml_type` that stands for numbers.
#[derive(Clone, Copy)]
pub(crate) struct Type {
    id: sys::ggml_type,
    traits: &'static sys::ggml_type_traits,
}

impl Type {
    /// The type with this number in GGUF files.
    pub(crate) fn from_id(id: u32) -> Result<Self> {
        if id >= sys::GGML_TYPE_COUNT {
            bail!("ggml has no type {id}; the last one is {}", sys::GGML_TYPE_COUNT - 1);
        }
        // SAFETY: `id` is in range, and ggml returns a pointer into a table that lives as long as the program.
        let traits = unsafe { sys::ggml_get_type_traits(id).as_ref() }.context("ggml has no traits for a type")?;
        if traits.blck_size == 0 || traits.type_size == 0 {
            bail!("ggml has withdrawn type {id}");
        }
        Ok(Type { id, traits })
    }

    /// Decodes whole blocks: `bytes` to as many values as they hold.
    pub(crate) fn dequantize(self, bytes: &[u8]) -> Result<Vec<f32>> {
        let values = self.values(bytes.len())?;
        if self.id == sys::GGML_TYPE_F32 {
            return Ok(bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect());
        }
        let to_float = self.traits.to_float.with_context(|| format!("ggml cannot decode type {}", self.id))?;
        let mut out = vec![0.0; values];
        // SAFETY: `bytes` holds whole blocks, and `out` has room for the values of all of them.
        unsafe { to_float(bytes.as_ptr().cast(), out.as_mut_ptr(), values as i64) };
        Ok(out)
    }

    /// The dot product of a row of blocks with `activations`, which ggml first quantizes as its CPU kernel wants them.
    pub(crate) fn dot(self, row: &[u8], activations: &[f32]) -> Result<f32> {
        let values = self.values(row.len())?;
        if values != activations.len() {
            bail!("expected {values} activations, found {}", activations.len());
        }
        // SAFETY: the id is in range, and ggml returns a pointer into a table that lives as long as the program.
        let cpu = unsafe { sys::ggml_get_type_traits_cpu(self.id).as_ref() }.context("ggml has no CPU traits")?;
        let vec_dot = cpu.vec_dot.with_context(|| format!("ggml has no dot product for type {}", self.id))?;
        let quantized = Type::from_id(cpu.vec_dot_type)?.quantize(activations)?;
        let mut sum = 0.0;
        // SAFETY: both rows hold `values` values in the types that this kernel takes; one result is written (the
        // strides are unused for one row).
        unsafe {
            vec_dot(values as i32, &raw mut sum, 0, row.as_ptr().cast::<c_void>(), 0, quantized.as_ptr().cast(), 0, 1);
        };
        Ok(sum)
    }

    fn quantize(self, values: &[f32]) -> Result<Vec<u8>> {
        let block = self.traits.blck_size as usize;
        if !values.len().is_multiple_of(block) {
            bail!("expected a multiple of {block} values, found {}", values.len());
        }
        if self.id == sys::GGML_TYPE_F32 {
            return Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        }
        // SAFETY: as in `dot`.
        let cpu = unsafe { sys::ggml_get_type_traits_cpu(self.id).as_ref() }.context("ggml has no CPU traits")?;
        let from_float = cpu.from_float.with_context(|| format!("ggml cannot quantize to type {}", self.id))?;
        let mut out = vec![0; values.len() / block * self.traits.type_size];
        // SAFETY: `values` holds whole blocks, and `out` has the bytes of all of them.
        unsafe { from_float(values.as_ptr(), out.as_mut_ptr().cast(), values.len() as i64) };
        Ok(out)
    }

    fn values(self, bytes: usize) -> Result<usize> {
        if !bytes.is_multiple_of(self.traits.type_size) {
            bail!("expected whole blocks of {} bytes, found {bytes} bytes", self.traits.type_size);
        }
        Ok(bytes / self.traits.type_size * self.traits.blck_size as usize)
    }
}

/// Fills the tables that ggml's CPU code needs.
pub(crate) fn initialize() {
    // SAFETY: may be called at any time and any number of times.
    unsafe { sys::ggml_cpu_init() }
}
