//! What is written is read back the same, and what could not be read is not written.

mod common;

use std::io::{self, Write};

use common::random;
use proptest::prelude::*;
use silhak_gguf::{Array, Error, Gguf, Metadata, TensorType, Value, Writer};

proptest! {
    #[test]
    fn models_round_trip(model in random::model(&TensorType::ALL)) {
        let file = model.write();
        let read = Gguf::parse(file.clone().into()).unwrap();
        prop_assert_eq!(read.alignment(), model.alignment.unwrap_or(32));
        prop_assert_eq!(read.file_bytes(), file.len() as u64);
        let mut metadata = read.metadata().iter();
        if let Some(alignment) = model.alignment {
            prop_assert_eq!(metadata.next(), Some(("general.alignment", &Value::U32(alignment))));
        }
        for (key, value) in &model.metadata {
            let (found_key, found) = metadata.next().unwrap();
            prop_assert_eq!(found_key, key);
            prop_assert!(same(found, value), "{:?} is not {:?}", found, value);
        }
        prop_assert!(metadata.next().is_none());
        prop_assert_eq!(read.tensors().len(), model.tensors.len());
        for (found, tensor) in read.tensors().iter().zip(&model.tensors) {
            prop_assert_eq!((found.name(), found.ty(), found.dims()), (&*tensor.name, tensor.ty, &*tensor.dims));
            prop_assert_eq!(&*read.data(found), &*tensor.data);
        }
        // Writing what was read gives the same file.
        let again = random::Model { alignment: None, metadata: entries(read.metadata()), ..model };
        prop_assert!(again.write() == file);
    }
}

fn entries(metadata: &Metadata) -> Vec<(String, Value)> {
    metadata.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

/// Equality with NaN equal to itself: by bits.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Value::Array(Array::F32(a)), Value::Array(Array::F32(b))) => {
            a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
        }
        (Value::Array(Array::F64(a)), Value::Array(Array::F64(b))) => {
            a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
        }
        (a, b) => a == b,
    }
}

#[test]
fn what_remains_is_what_will_be_written() {
    let mut writer = Writer::new();
    writer.add_tensor("a", TensorType::F32, &[3]).unwrap().add_tensor("b", TensorType::F16, &[20]).unwrap();
    let mut data = writer.begin(io::sink()).unwrap();
    let mut remaining = vec![data.remaining()];
    for (name, n_bytes) in [("a", 12), ("b", 40)] {
        data.write(name, &vec![0; n_bytes]).unwrap();
        remaining.push(data.remaining());
    }
    assert_eq!(remaining, [32 + 64, 64, 0]);
}

#[test]
fn unreadable_headers_are_not_written() {
    let refused = |result: Result<&mut Writer, Error>, reason: &str| {
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(reason), "{error:?} does not say {reason:?}");
    };
    let mut writer = Writer::new();
    writer.add("a", 1u32).unwrap().add_tensor("t", TensorType::F32, &[1]).unwrap();
    refused(writer.add("a", 2u32), "metadata key `a`: it is there already");
    refused(writer.add("", 2u32), "empty name");
    refused(writer.add(&"k".repeat(65_536), 2u32), "65536 bytes: expected at most 65535");
    refused(writer.add("long", "x".repeat((16 << 20) + 1)), "expected at most 16777216");
    refused(writer.add("long", vec![0u8; (16 << 20) + 1]), "array of 16777217 elements");
    refused(writer.add("general.alignment", 48u32), "a power of two");
    refused(writer.add("general.alignment", 32u64), "expected a u32");
    refused(writer.add_tensor("t", TensorType::F32, &[1]), "tensor `t`: it is there already");
    refused(writer.add_tensor("u", TensorType::F32, &[]), "expected 1 to 4");
    refused(writer.add_tensor("u", TensorType::F32, &[1; 5]), "expected 1 to 4");
    refused(writer.add_tensor("u", TensorType::F32, &[4, 0]), "expected 1 to 4 numbers above 0");
    refused(writer.add_tensor("u", TensorType::Q4_K, &[128]), "Q4_K needs a multiple of 256");
    refused(writer.add_tensor("u", TensorType::F32, &[1 << 40, 1 << 40]), "more than this machine can address");
    refused(writer.add_tensor("", TensorType::F32, &[1]), "empty name");
}

#[test]
fn data_must_come_in_order_and_whole() {
    let begin = || {
        let mut writer = Writer::new();
        writer.add_tensor("a", TensorType::F32, &[2]).unwrap().add_tensor("b", TensorType::I8, &[3]).unwrap();
        writer.begin(Vec::new()).unwrap()
    };
    let reason = |result: Result<(), Error>| result.unwrap_err().to_string();

    let mut data = begin();
    assert!(reason(data.write("b", &[0; 3])).contains("tensor `a` is next"));
    data.write("a", &[0; 8]).unwrap();
    assert_eq!(data.expected(), Some(("b", 3)));
    data.write_from("b", &[1u8, 2, 3][..]).unwrap();
    assert!(reason(data.write("c", &[])).contains("all tensors of the table are written"));
    let file = data.finish().unwrap();
    let model = Gguf::parse(file.into()).unwrap();
    assert_eq!(*model.data(model.tensor("b").unwrap()), [1, 2, 3]);

    let mut data = begin();
    assert!(reason(data.write("a", &[0; 7])).contains("7 bytes: type and dimensions take 8"));
    assert!(reason(data.write("a", &[0; 8])).contains("an earlier write failed"));
    let mut data = begin();
    assert!(reason(data.write("a", &[0; 9])).contains("longer than the 8 bytes"));
    let mut data = begin();
    assert!(reason(data.write_with("a", |_| Err(io::Error::other("no quantizer")))).contains("no quantizer"));
    let mut data = begin();
    data.write_with("a", |out| (0..4).try_for_each(|half| out.write_all(&[half; 2]))).unwrap();
    let error = data.finish().unwrap_err();
    assert!(error.to_string().contains("the data of tensor `b` is missing"));
}

#[test]
fn a_full_disk_is_an_error() {
    /// Takes 40 bytes.
    #[derive(Debug)]
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match bytes.len().min(40 - self.0) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                taken => {
                    self.0 += taken;
                    Ok(taken)
                }
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer::new();
    writer.add_tensor("a", TensorType::F32, &[2]).unwrap();
    let error = writer.begin(Full(0)).unwrap_err();
    assert!(matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull), "{error}");
}
