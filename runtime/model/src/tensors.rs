//! Looks tensors up by name, checks their shapes, and declares them as weights of a plan.

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;
use silhak_gguf::{Gguf, TensorInfo};
use silhak_ops::{PlanBuilder, Weight, WeightId};
use silhak_quant::{Format, dequantize};

use crate::Error;

/// The tensors of a file, as an architecture asks for them.
pub(crate) struct Tensors<'a> {
    gguf: &'a Gguf,
    plan: &'a PlanBuilder,
    declared: RefCell<Declared>,
}

#[derive(Default)]
struct Declared {
    ids: HashMap<String, WeightId>,
    data: Vec<Bytes>,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(gguf: &'a Gguf, plan: &'a PlanBuilder) -> Self {
        Tensors { gguf, plan, declared: RefCell::default() }
    }

    /// The data of all declared weights, in the order of their ids.
    pub(crate) fn into_data(self) -> Vec<Bytes> {
        self.declared.into_inner().data
    }

    /// A matrix of `n_out` rows of `n_in` values: `{name}.weight`.
    pub(crate) fn matrix(&self, name: &str, n_out: usize, n_in: usize) -> Result<WeightId, Error> {
        self.declare(format!("{name}.weight"), n_out, n_in)
    }

    /// The matrices of `n` experts, each of `n_out` rows of `n_in` values: `{name}.weight`.
    pub(crate) fn experts(&self, name: &str, n: usize, n_out: usize, n_in: usize) -> Result<WeightId, Error> {
        let name = format!("{name}.weight");
        if let Some(tensor) = self.gguf.tensor(&name) {
            check_dims(tensor, &[n_in, n_out, n])?;
        }
        self.declare(name, n * n_out, n_in)
    }

    /// A vector: `{name}.weight`.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<WeightId, Error> {
        self.declare(format!("{name}.weight"), 1, len)
    }

    /// A vector, if the file has it: `{name}.weight`.
    pub(crate) fn optional_vector(&self, name: &str, len: usize) -> Result<Option<WeightId>, Error> {
        self.has(&format!("{name}.weight")).then(|| self.vector(name, len)).transpose()
    }

    /// A matrix's bias, if the file has it: `{name}.bias`.
    pub(crate) fn bias(&self, name: &str, len: usize) -> Result<Option<WeightId>, Error> {
        let name = format!("{name}.bias");
        self.has(&name).then(|| self.declare(name, 1, len)).transpose()
    }

    /// `N` numbers that the plan is written with: `{name}.weight`, as float32.
    pub(crate) fn constants<const N: usize>(&self, name: &str) -> Result<[f32; N], Error> {
        let name = format!("{name}.weight");
        let tensor = self.gguf.tensor(&name).ok_or_else(|| Error::MissingTensor { name: name.clone() })?;
        check_shape(tensor, 1, N)?;
        let mut values = [0.0; N];
        dequantize(format_of(tensor)?, &self.gguf.data(tensor), &mut values).map_err(silhak_ops::Error::from)?;
        Ok(values)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.gguf.tensor(name).is_some()
    }

    fn declare(&self, name: String, rows: usize, cols: usize) -> Result<WeightId, Error> {
        if let Some(&id) = self.declared.borrow().ids.get(&name) {
            return Ok(id);
        }
        let tensor = self.gguf.tensor(&name).ok_or_else(|| Error::MissingTensor { name: name.clone() })?;
        check_shape(tensor, rows, cols)?;
        let id = self.plan.weight(Weight { name: name.clone(), format: format_of(tensor)?, rows, cols });
        let mut declared = self.declared.borrow_mut();
        declared.data.push(self.gguf.data(tensor));
        declared.ids.insert(name, id);
        Ok(id)
    }
}

fn check_shape(tensor: &TensorInfo, rows: usize, cols: usize) -> Result<(), Error> {
    if tensor.row_len() == cols && tensor.n_rows() == rows {
        return Ok(());
    }
    let dims = [cols, rows];
    check_dims(tensor, if rows == 1 { &dims[..1] } else { &dims })
}

/// The fastest dimension first, as in the file.
fn check_dims(tensor: &TensorInfo, expected: &[usize]) -> Result<(), Error> {
    let list = |dims: &[u64]| dims.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let expected: Vec<u64> = expected.iter().map(|&n| n as u64).collect();
    let found = tensor.dims();
    if *found == *expected {
        return Ok(());
    }
    Err(Error::TensorShape { name: tensor.name().into(), expected: list(&expected), found: list(found) })
}

fn format_of(tensor: &TensorInfo) -> Result<Format, Error> {
    Format::from_ggml_id(tensor.ty().id()).ok_or_else(|| Error::TensorType {
        name: tensor.name().into(),
        ty: tensor.ty().to_string(),
        known: Format::ALL.iter().map(|f| f.name()).collect::<Vec<_>>().join(", "),
    })
}
