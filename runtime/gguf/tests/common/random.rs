//! Random models: metadata of every type, tensors of every type with random bytes.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use silhak_gguf::{Array, StringArray, TensorType, Value, Writer};

/// What to write.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) alignment: Option<u32>,
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<Tensor>,
}

#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) ty: TensorType,
    pub(crate) dims: Vec<u64>,
    pub(crate) data: Vec<u8>,
}

impl Model {
    /// The model as a file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        if let Some(alignment) = self.alignment {
            writer.add("general.alignment", alignment).unwrap();
        }
        for (key, value) in &self.metadata {
            writer.add(key, value.clone()).unwrap();
        }
        for tensor in &self.tensors {
            writer.add_tensor(&tensor.name, tensor.ty, &tensor.dims).unwrap();
        }
        let mut data = writer.begin(Vec::new()).unwrap();
        for tensor in &self.tensors {
            data.write(&tensor.name, &tensor.data).unwrap();
        }
        data.finish().unwrap()
    }
}

/// Any model; tensor types are of `types`.
pub(crate) fn model(types: &'static [TensorType]) -> impl Strategy<Value = Model> {
    let alignment = prop_oneof![Just(None), (3u32..=12).prop_map(|log2| Some(1 << log2))];
    let metadata = btree_map("[a-z가-힣._]{1,20}", value(), 0..12);
    let tensors = btree_map("[a-z0-9가-힣._]{1,40}", tensor(types), 0..6);
    (alignment, metadata, tensors).prop_map(|(alignment, metadata, tensors)| Model {
        alignment,
        metadata: metadata.into_iter().collect(),
        tensors: tensors.into_iter().map(|(name, tensor)| Tensor { name, ..tensor }).collect(),
    })
}

fn tensor(types: &'static [TensorType]) -> impl Strategy<Value = Tensor> {
    let shape = (proptest::sample::select(types), 1u64..=2, vec(1u64..=3, 0..=3));
    shape.prop_flat_map(|(ty, blocks, rest)| {
        let n_bytes = blocks * ty.block_bytes() as u64 * rest.iter().product::<u64>();
        let dims: Vec<u64> = [blocks * ty.block_len() as u64].into_iter().chain(rest).collect();
        vec(any::<u8>(), n_bytes as usize).prop_map(move |data| Tensor {
            name: String::new(),
            ty,
            dims: dims.clone(),
            data,
        })
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        f32_bits().prop_map(Value::from),
        f64_bits().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        array().prop_map(Value::from),
    ]
}

fn array() -> impl Strategy<Value = Array> {
    const LEN: std::ops::Range<usize> = 0..9;
    prop_oneof![
        vec(any::<u8>(), LEN).prop_map(Array::from),
        vec(any::<i8>(), LEN).prop_map(Array::from),
        vec(any::<u16>(), LEN).prop_map(Array::from),
        vec(any::<i16>(), LEN).prop_map(Array::from),
        vec(any::<u32>(), LEN).prop_map(Array::from),
        vec(any::<i32>(), LEN).prop_map(Array::from),
        vec(any::<u64>(), LEN).prop_map(Array::from),
        vec(any::<i64>(), LEN).prop_map(Array::from),
        vec(f32_bits(), LEN).prop_map(Array::from),
        vec(f64_bits(), LEN).prop_map(Array::from),
        vec(any::<bool>(), LEN).prop_map(Array::from),
        vec(any::<String>(), LEN).prop_map(|strings| Array::from(StringArray::new(strings).unwrap())),
    ]
}

/// Any f32: every NaN, infinity and denormal too.
fn f32_bits() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits)
}

/// Any f64.
fn f64_bits() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits)
}
