//! A GGUF file of any bytes is refused, or is a model that keeps its promises and survives being written again.

use bytes::Bytes;
use silhak_gguf::{Error, Gguf, Writer};

/// Reads `bytes` as a file; panics on anything that must not be.
pub fn check(bytes: &[u8]) {
    let file = Bytes::copy_from_slice(bytes);
    match Gguf::parse(file.clone()) {
        Ok(model) => {
            check_model(&model, &file);
            let again = write(&model).expect("what was read can be written");
            let read = Gguf::parse(again.clone().into()).expect("what was written can be read");
            assert_eq!(write(&read).expect("and written again"), again);
        }
        Err(error) => {
            // A message is a line for a person, however hostile the names in it.
            let message = error.to_string();
            assert!(message.len() < 4096 && !message.contains(|c: char| c.is_control()), "{message:?}");
        }
    }
}

/// Holds a model to what the documentation of its parts says.
fn check_model(model: &Gguf, file: &Bytes) {
    for (key, value) in model.metadata().iter() {
        assert!(model.metadata().get(key).is_some_and(|found| found.ty() == value.ty()));
        // Typed accessors refuse or answer; they do not panic.
        let metadata = model.metadata();
        let _ = (metadata.u32(key), metadata.u64(key), metadata.i32(key), metadata.f32(key));
        let _ = (metadata.bool(key), metadata.str(key), metadata.str_array(key), metadata.i32_array(key));
        let _ = (metadata.u32_per_layer(key, 3), metadata.f32_per_layer(key, 3), metadata.bool_per_layer(key, 3));
    }
    let mut ends = Vec::new();
    for tensor in model.tensors() {
        assert_eq!(model.tensor(tensor.name()).map(|found| found.offset()), Some(tensor.offset()));
        let data = model.data(tensor);
        let start = tensor.offset() as usize;
        assert_eq!(data, file[start..start + data.len()]);
        assert_eq!(tensor.dims4().iter().product::<u64>(), tensor.n_elements() as u64);
        assert_eq!(tensor.row_bytes() * tensor.n_rows(), data.len());
        assert_eq!(tensor.row_len() % tensor.ty().block_len(), 0);
        ends.push((start, start + data.len()));
    }
    ends.sort_unstable();
    assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0), "tensors overlap");
}

fn write(model: &Gguf) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new();
    for (key, value) in model.metadata().iter() {
        writer.add(key, value.clone())?;
    }
    for tensor in model.tensors() {
        writer.add_tensor(tensor.name(), tensor.ty(), tensor.dims())?;
    }
    let mut data = writer.begin(Vec::new())?;
    for tensor in model.tensors() {
        data.write(tensor.name(), &model.data(tensor))?;
    }
    data.finish()
}
