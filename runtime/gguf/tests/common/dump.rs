//! A model as text, one line for each entry, with all values in hex: the form in which readers are compared.
//! `dump.py` makes the same text from what gguf-py reads.

use std::fmt::Write;

use silhak_gguf::{Array, Gguf, Value};

/// The lines of `model`.
pub(crate) fn dump(model: &Gguf) -> String {
    let mut text = String::new();
    for (key, value) in model.metadata().iter() {
        writeln!(text, "{} {}", hex(key.as_bytes()), dump_value(value)).unwrap();
    }
    for tensor in model.tensors() {
        let (name, data) = (hex(tensor.name().as_bytes()), hex(&model.data(tensor)));
        writeln!(text, "{name} {} {:?} {} {data}", tensor.ty(), tensor.dims(), tensor.offset()).unwrap();
    }
    text
}

fn dump_value(value: &Value) -> String {
    let bytes = match value {
        Value::U8(v) => v.to_le_bytes().to_vec(),
        Value::I8(v) => v.to_le_bytes().to_vec(),
        Value::U16(v) => v.to_le_bytes().to_vec(),
        Value::I16(v) => v.to_le_bytes().to_vec(),
        Value::U32(v) => v.to_le_bytes().to_vec(),
        Value::I32(v) => v.to_le_bytes().to_vec(),
        Value::U64(v) => v.to_le_bytes().to_vec(),
        Value::I64(v) => v.to_le_bytes().to_vec(),
        Value::F32(v) => v.to_le_bytes().to_vec(),
        Value::F64(v) => v.to_le_bytes().to_vec(),
        Value::Bool(v) => vec![u8::from(*v)],
        Value::String(v) => v.as_bytes().to_vec(),
        Value::Array(array) => return format!("[{}] {}", array.element_type().id(), dump_array(array)),
    };
    format!("{} {}", value.ty().id(), hex(&bytes))
}

/// The elements in hex, each with a comma after it.
fn dump_array(array: &Array) -> String {
    fn each<T>(values: impl IntoIterator<Item = T>, bytes: impl Fn(T) -> Vec<u8>) -> String {
        values.into_iter().map(|value| hex(&bytes(value)) + ",").collect()
    }
    match array {
        Array::U8(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::I8(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::U16(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::I16(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::U32(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::I32(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::U64(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::I64(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::F32(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::F64(v) => each(v, |v| v.to_le_bytes().to_vec()),
        Array::Bool(v) => each(v, |&v| vec![u8::from(v)]),
        Array::String(v) => each(v.iter(), |v| v.as_bytes().to_vec()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
