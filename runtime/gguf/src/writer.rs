//! Writes GGUF version 3, little endian, in one pass.

use std::collections::{HashSet, VecDeque};
use std::io::{self, Read, Write};

use crate::error::Quoted;
use crate::limits::{
    DEFAULT_ALIGNMENT, MAX_ARRAY_LEN, MAX_DIMS, MAX_METADATA, MAX_NAME_BYTES, MAX_STRING_BYTES, MAX_TENSORS,
    is_valid_alignment,
};
use crate::parse::{ALIGNMENT_KEY, MAGIC, size_in_bytes};
use crate::{Array, Error, TensorType, Value};

/// Everything of a file but the tensor data: collects metadata and the tensor table, and checks them by the rules of
/// the reader, so that what is written can be read.
///
/// ```
/// # fn main() -> Result<(), silhak_gguf::Error> {
/// use silhak_gguf::{Gguf, TensorType, Writer};
///
/// let mut writer = Writer::new();
/// writer.add("general.architecture", "llama")?.add("llama.block_count", 2u32)?;
/// writer.add_tensor("output_norm.weight", TensorType::F32, &[3])?;
/// let mut data = writer.begin(Vec::new())?;
/// data.write("output_norm.weight", &[0; 12])?;
/// let file = data.finish()?;
///
/// let model = Gguf::parse(file.into())?;
/// assert_eq!(model.metadata().u32("llama.block_count")?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Writer {
    alignment: Option<u32>,
    metadata: Vec<(String, Value)>,
    tensors: Vec<Header>,
    keys: HashSet<String>,
    names: HashSet<String>,
}

/// The second half of writing a file: takes the data of each tensor, in the order of the table.
#[derive(Debug)]
pub struct TensorWriter<W> {
    out: W,
    alignment: u64,
    pending: VecDeque<Header>,
    /// A write failed midway, so that the next tensor would begin at a wrong place.
    broken: bool,
}

impl Writer {
    /// A file without metadata and tensors.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Adds a metadata entry. `general.alignment` also sets the alignment of tensor data.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a key that is there already, is empty or too long, for a value beyond the
    /// [limits](crate::limits), and for a `general.alignment` that is not a valid u32.
    pub fn add(&mut self, key: &str, value: impl Into<Value>) -> Result<&mut Writer, Error> {
        let value = value.into();
        let unwritable = |reason: String| unwritable(format!("metadata key {}", Quoted(key)), reason);
        check_name(key).map_err(unwritable)?;
        check_value(&value).map_err(unwritable)?;
        if self.metadata.len() as u64 >= MAX_METADATA {
            return Err(unwritable(format!("there are {MAX_METADATA} keys already")));
        }
        if self.keys.contains(key) {
            return Err(unwritable("it is there already".to_owned()));
        }
        if key == ALIGNMENT_KEY {
            match value {
                Value::U32(alignment) if is_valid_alignment(alignment) => self.alignment = Some(alignment),
                other => return Err(unwritable(format!("{other:?}: expected a u32, a power of two from 8 to 65536"))),
            }
        }
        self.keys.insert(key.to_owned());
        self.metadata.push((key.to_owned(), value));
        Ok(self)
    }

    /// Adds a tensor to the table. `dims` are in ggml's order, the row length first.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a name that is there already, is empty or too long, for dimensions that are not one
    /// to four positive numbers, and for rows that are not whole blocks of `ty`.
    pub fn add_tensor(&mut self, name: &str, ty: TensorType, dims: &[u64]) -> Result<&mut Writer, Error> {
        let unwritable = |reason: String| unwritable(format!("tensor {}", Quoted(name)), reason);
        check_name(name).map_err(unwritable)?;
        if self.tensors.len() as u64 >= MAX_TENSORS {
            return Err(unwritable(format!("there are {MAX_TENSORS} tensors already")));
        }
        if self.names.contains(name) {
            return Err(unwritable("it is there already".to_owned()));
        }
        if dims.is_empty() || dims.len() > MAX_DIMS || dims.contains(&0) {
            return Err(unwritable(format!("dimensions {dims:?}: expected 1 to {MAX_DIMS} numbers above 0")));
        }
        if !dims[0].is_multiple_of(ty.block_len() as u64) {
            return Err(unwritable(format!(
                "rows of {} elements: {ty} needs a multiple of {}",
                dims[0],
                ty.block_len()
            )));
        }
        let mut filled = [1; MAX_DIMS];
        filled[..dims.len()].copy_from_slice(dims);
        let Some(n_bytes) = size_in_bytes(ty, filled) else {
            return Err(unwritable(format!("dimensions {dims:?} multiply to more than this machine can address")));
        };
        self.names.insert(name.to_owned());
        self.tensors.push(Header { name: name.to_owned(), ty, dims: dims.to_vec(), n_bytes });
        Ok(self)
    }

    /// Writes the header, the metadata and the tensor table to `out`; the data comes next.
    ///
    /// # Errors
    /// [`Error::Io`] when `out` fails; [`Error::Unwritable`] when the data together pass the range of an offset.
    pub fn begin<W: Write>(self, mut out: W) -> Result<TensorWriter<W>, Error> {
        out.write_all(&self.header()?).map_err(write_failed)?;
        Ok(self.resume(out))
    }

    /// Goes on with a file whose beginning is that of [`begin`](Writer::begin) already. `out` stands behind it, or behind
    /// as many tensors as are then [skipped](TensorWriter::skip).
    pub fn resume<W: Write>(self, out: W) -> TensorWriter<W> {
        TensorWriter { out, alignment: self.alignment(), pending: self.tensors.into(), broken: false }
    }

    fn alignment(&self) -> u64 {
        u64::from(self.alignment.unwrap_or(DEFAULT_ALIGNMENT))
    }

    /// Everything before the data.
    fn header(&self) -> Result<Vec<u8>, Error> {
        let alignment = self.alignment();
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(3u32.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            put_string(&mut bytes, key);
            bytes.extend(value.ty().id().to_le_bytes());
            put_value(&mut bytes, value);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            put_string(&mut bytes, &tensor.name);
            bytes.extend((tensor.dims.len() as u32).to_le_bytes());
            bytes.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            bytes.extend(tensor.ty.id().to_le_bytes());
            bytes.extend(offset.to_le_bytes());
            let end = offset.checked_add(tensor.n_bytes).and_then(|end| end.checked_next_multiple_of(alignment));
            let Some(end) = end else {
                let reason = "the file would be larger than a 64-bit offset can say".to_owned();
                return Err(unwritable(format!("tensor {}", Quoted(&tensor.name)), reason));
            };
            offset = end;
        }
        bytes.resize(bytes.len().next_multiple_of(alignment as usize), 0);
        Ok(bytes)
    }
}

impl<W: Write> TensorWriter<W> {
    /// Name and size in bytes of the tensor whose data comes next.
    pub fn expected(&self) -> Option<(&str, u64)> {
        self.pending.front().map(|tensor| (tensor.name.as_str(), tensor.n_bytes))
    }

    /// Counts the next tensor as written, because its data stands in the file already; whether there was one.
    pub fn skip(&mut self) -> bool {
        self.pending.pop_front().is_some()
    }

    /// Bytes that are still to be written: the data of the tensors that are left, each with its padding.
    pub fn remaining(&self) -> u64 {
        // Writing the header has added these up without an overflow.
        self.pending.iter().map(|tensor| tensor.n_bytes.next_multiple_of(self.alignment)).sum()
    }

    /// Writes the data of the next tensor, which must be `name`.
    ///
    /// # Errors
    /// [`Error::Unwritable`] when another tensor is next or the size is wrong; [`Error::Io`] when the output fails.
    pub fn write(&mut self, name: &str, data: &[u8]) -> Result<(), Error> {
        self.write_with(name, |out| out.write_all(data))
    }

    /// Writes the data of the next tensor, which must be `name`, copying it from `source` up to its end.
    ///
    /// # Errors
    /// As [`TensorWriter::write`], and [`Error::Io`] when `source` fails.
    pub fn write_from(&mut self, name: &str, mut source: impl Read) -> Result<(), Error> {
        self.write_with(name, |mut out| io::copy(&mut source, &mut out).map(drop))
    }

    /// Writes the data of the next tensor, which must be `name`, in pieces: `produce` gets the output.
    ///
    /// # Errors
    /// As [`TensorWriter::write`], and [`Error::Io`] when `produce` fails.
    pub fn write_with(
        &mut self,
        name: &str,
        produce: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        let unwritable = |reason: String| unwritable(format!("the data of tensor {}", Quoted(name)), reason);
        if self.broken {
            return Err(unwritable("an earlier write failed, so the file cannot be finished".to_owned()));
        }
        let n_bytes = match self.expected() {
            Some((next, n_bytes)) if next == name => n_bytes,
            Some((next, _)) => return Err(unwritable(format!("tensor {} is next in the table", Quoted(next)))),
            None => return Err(unwritable("all tensors of the table are written".to_owned())),
        };
        self.broken = true;
        let mut sink = Sink { out: &mut self.out, left: n_bytes, overrun: false };
        let result = produce(&mut sink);
        let (left, overrun) = (sink.left, sink.overrun);
        if overrun {
            return Err(unwritable(format!("it is longer than the {n_bytes} bytes that type and dimensions take")));
        }
        result.map_err(write_failed)?;
        if left > 0 {
            return Err(unwritable(format!("it is {} bytes: type and dimensions take {n_bytes}", n_bytes - left)));
        }
        let padding = n_bytes.next_multiple_of(self.alignment) - n_bytes;
        io::copy(&mut io::repeat(0).take(padding), &mut self.out).map_err(write_failed)?;
        self.broken = false;
        self.pending.pop_front();
        Ok(())
    }

    /// Ends the file and gives back the output, flushed.
    ///
    /// # Errors
    /// [`Error::Unwritable`] when a tensor's data is missing; [`Error::Io`] when the output fails.
    pub fn finish(mut self) -> Result<W, Error> {
        if let Some((name, _)) = self.expected() {
            return Err(unwritable("the file".to_owned(), format!("the data of tensor {} is missing", Quoted(name))));
        }
        self.out.flush().map_err(write_failed)?;
        Ok(self.out)
    }
}

/// A row of the tensor table.
#[derive(Clone, Debug)]
struct Header {
    name: String,
    ty: TensorType,
    dims: Vec<u64>,
    n_bytes: u64,
}

/// Takes a tensor's data, and not a byte more.
struct Sink<'a, W> {
    out: &'a mut W,
    left: u64,
    overrun: bool,
}

impl<W: Write> Write for Sink<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            self.overrun = true;
            return Err(io::Error::other("more data than the tensor takes"));
        }
        let written = self.out.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn unwritable(field: String, reason: String) -> Error {
    Error::Unwritable { field, reason }
}

fn write_failed(source: io::Error) -> Error {
    Error::Io { action: "write the file", source }
}

fn check_name(name: &str) -> Result<(), String> {
    match name.len() as u64 {
        0 => Err("it has an empty name".to_owned()),
        n if n > MAX_NAME_BYTES => Err(format!("the name has {n} bytes: expected at most {MAX_NAME_BYTES}")),
        _ => Ok(()),
    }
}

fn check_value(value: &Value) -> Result<(), String> {
    let check_string = |string: &str| match string.len() as u64 {
        n if n > MAX_STRING_BYTES => Err(format!("a string of {n} bytes: expected at most {MAX_STRING_BYTES}")),
        _ => Ok(()),
    };
    match value {
        Value::String(string) => check_string(string),
        Value::Array(array) if array.len() as u64 > MAX_ARRAY_LEN => {
            Err(format!("an array of {} elements: expected at most {MAX_ARRAY_LEN}", array.len()))
        }
        Value::Array(Array::String(strings)) => strings.iter().try_for_each(check_string),
        _ => Ok(()),
    }
}

fn put_string(bytes: &mut Vec<u8>, string: &str) {
    bytes.extend((string.len() as u64).to_le_bytes());
    bytes.extend(string.as_bytes());
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(v) => bytes.extend(v.to_le_bytes()),
        Value::I8(v) => bytes.extend(v.to_le_bytes()),
        Value::U16(v) => bytes.extend(v.to_le_bytes()),
        Value::I16(v) => bytes.extend(v.to_le_bytes()),
        Value::U32(v) => bytes.extend(v.to_le_bytes()),
        Value::I32(v) => bytes.extend(v.to_le_bytes()),
        Value::U64(v) => bytes.extend(v.to_le_bytes()),
        Value::I64(v) => bytes.extend(v.to_le_bytes()),
        Value::F32(v) => bytes.extend(v.to_le_bytes()),
        Value::F64(v) => bytes.extend(v.to_le_bytes()),
        Value::Bool(v) => bytes.push(u8::from(*v)),
        Value::String(v) => put_string(bytes, v),
        Value::Array(v) => put_array(bytes, v),
    }
}

fn put_array(bytes: &mut Vec<u8>, array: &Array) {
    bytes.extend(array.element_type().id().to_le_bytes());
    bytes.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(v) => bytes.extend(v),
        Array::I8(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::U16(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::I16(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::U32(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::I32(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::U64(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::I64(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::F32(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::F64(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Array::Bool(v) => bytes.extend(v.iter().map(|&v| u8::from(v))),
        Array::String(v) => v.iter().for_each(|v| put_string(bytes, v)),
    }
}
