//! Reads one GGUF file: header, metadata, tensor table, each rule in the order of the file.

use std::fmt::{Arguments, Display};

use bytes::Bytes;

use crate::cursor::Cursor;
use crate::error::Quoted;
use crate::limits::{
    DEFAULT_ALIGNMENT, MAX_ARRAY_LEN, MAX_ARRAY_TEXT_BYTES, MAX_DIMS, MAX_METADATA, MAX_NAME_BYTES, MAX_STRING_BYTES,
    MAX_TENSORS, is_valid_alignment,
};
use crate::source::{FileFacts, Map};
use crate::{Array, Error, Metadata, StringArray, TensorInfo, TensorType, TypeIdError, Value, ValueType};

/// What one file holds.
pub(crate) struct Shard {
    pub(crate) version: u32,
    pub(crate) alignment: u32,
    pub(crate) file_bytes: u64,
    pub(crate) metadata: Metadata,
    /// In the order of the file.
    pub(crate) tensors: Vec<TensorInfo>,
    /// What the bytes are in, where they are those of a mapped file.
    pub(crate) map: Option<Map>,
    /// The file, if they are those of one.
    pub(crate) facts: Option<FileFacts>,
}

pub(crate) const MAGIC: [u8; 4] = *b"GGUF";
pub(crate) const ALIGNMENT_KEY: &str = "general.alignment";

/// Least bytes of a metadata entry: key length, one byte of key, value type, one byte of value.
const MIN_METADATA_ENTRY: u64 = 8 + 1 + 4 + 1;
/// Least bytes of a tensor entry: name length, one byte of name, dimension count, one dimension, type, offset.
const MIN_TENSOR_ENTRY: u64 = 8 + 1 + 4 + 8 + 4 + 8;

/// Reads the file `bytes`.
pub(crate) fn parse(bytes: &Bytes) -> Result<Shard, Error> {
    let cursor = &mut Cursor::new(bytes);
    let magic = cursor.number(format_args!("the magic number"))?;
    if magic != MAGIC {
        return Err(Error::NotGguf { found: magic });
    }
    let version = cursor.u32(format_args!("the version"))?;
    match version {
        2 | 3 => {}
        // A version below 65536 with its bytes the other way round.
        _ if version != 0 && version & 0xffff == 0 => return Err(Error::BigEndian { version }),
        _ => return Err(Error::UnsupportedVersion { found: version }),
    }
    let n_tensors = cursor.count(MIN_TENSOR_ENTRY, MAX_TENSORS, format_args!("the tensor count"))?;
    let n_metadata = cursor.count(MIN_METADATA_ENTRY, MAX_METADATA, format_args!("the metadata count"))?;

    let (metadata, alignment) = parse_metadata(cursor, n_metadata)?;
    let mut entries = Vec::with_capacity(n_tensors);
    for index in 0..n_tensors {
        entries.push(parse_tensor(cursor, index)?);
    }
    check_names(&entries)?;
    let spans = lay_out(&entries, cursor.offset(), alignment, bytes.len() as u64)?;
    let tensors = entries.iter().zip(spans).map(|(entry, span)| entry.with_data(bytes, span)).collect();
    Ok(Shard { version, alignment, file_bytes: bytes.len() as u64, metadata, tensors, map: None, facts: None })
}

/// The metadata entries and the alignment that they set.
fn parse_metadata(cursor: &mut Cursor<'_>, n_entries: usize) -> Result<(Metadata, u32), Error> {
    let mut entries = Vec::with_capacity(n_entries);
    let mut offsets = Vec::with_capacity(n_entries);
    let mut alignment = DEFAULT_ALIGNMENT;
    for index in 0..n_entries {
        offsets.push(cursor.offset());
        let key = cursor.name(MAX_NAME_BYTES, format_args!("the key of metadata entry {index}"))?;
        let ty = parse_value_type(cursor, format_args!("the value type of metadata key {}", Quoted(key)))?;
        let offset = cursor.offset();
        let value = parse_value(cursor, key, ty)?;
        if key == ALIGNMENT_KEY {
            alignment = match value {
                Value::U32(found) if is_valid_alignment(found) => found,
                Value::U32(found) => return Err(Error::InvalidAlignment { offset, found }),
                other => return Err(Error::AlignmentType { offset, found: other.ty() }),
            };
        }
        entries.push((key.into(), value));
    }
    let metadata =
        Metadata::index(entries).map_err(|(key, entry)| Error::DuplicateKey { key, offset: offsets[entry] })?;
    Ok((metadata, alignment))
}

fn parse_value_type(cursor: &mut Cursor<'_>, field: Arguments<'_>) -> Result<ValueType, Error> {
    let offset = cursor.offset();
    let id = cursor.u32(field)?;
    ValueType::from_id(id).ok_or_else(|| Error::UnknownValueType { field: field.to_string(), offset, found: id })
}

fn parse_value(cursor: &mut Cursor<'_>, key: &str, ty: ValueType) -> Result<Value, Error> {
    let quoted = Quoted(key);
    let field = format_args!("the value of metadata key {quoted}");
    Ok(match ty {
        ValueType::U8 => Value::U8(u8::from_le_bytes(cursor.number(field)?)),
        ValueType::I8 => Value::I8(i8::from_le_bytes(cursor.number(field)?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(cursor.number(field)?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(cursor.number(field)?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(cursor.number(field)?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(cursor.number(field)?)),
        ValueType::U64 => Value::U64(u64::from_le_bytes(cursor.number(field)?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(cursor.number(field)?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(cursor.number(field)?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(cursor.number(field)?)),
        ValueType::Bool => {
            let offset = cursor.offset();
            let [byte] = cursor.number(field)?;
            Value::Bool(parse_bool(byte, offset, field)?)
        }
        ValueType::String => Value::String(cursor.string(MAX_STRING_BYTES, field)?.to_owned()),
        ValueType::Array => Value::Array(parse_array(cursor, key)?),
    })
}

fn parse_bool(byte: u8, offset: u64, field: Arguments<'_>) -> Result<bool, Error> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(Error::InvalidBool { field: field.to_string(), offset, found }),
    }
}

fn parse_array(cursor: &mut Cursor<'_>, key: &str) -> Result<Array, Error> {
    let quoted = Quoted(key);
    let offset = cursor.offset();
    let element = parse_value_type(cursor, format_args!("the element type of metadata key {quoted}"))?;
    let field = format_args!("the element count of metadata key {quoted}");
    let values = format_args!("the elements of metadata key {quoted}");
    Ok(match element {
        ValueType::U8 => Array::U8(parse_numbers(cursor, u8::from_le_bytes, field, values)?),
        ValueType::I8 => Array::I8(parse_numbers(cursor, i8::from_le_bytes, field, values)?),
        ValueType::U16 => Array::U16(parse_numbers(cursor, u16::from_le_bytes, field, values)?),
        ValueType::I16 => Array::I16(parse_numbers(cursor, i16::from_le_bytes, field, values)?),
        ValueType::U32 => Array::U32(parse_numbers(cursor, u32::from_le_bytes, field, values)?),
        ValueType::I32 => Array::I32(parse_numbers(cursor, i32::from_le_bytes, field, values)?),
        ValueType::U64 => Array::U64(parse_numbers(cursor, u64::from_le_bytes, field, values)?),
        ValueType::I64 => Array::I64(parse_numbers(cursor, i64::from_le_bytes, field, values)?),
        ValueType::F32 => Array::F32(parse_numbers(cursor, f32::from_le_bytes, field, values)?),
        ValueType::F64 => Array::F64(parse_numbers(cursor, f64::from_le_bytes, field, values)?),
        ValueType::Bool => Array::Bool(parse_bools(cursor, field, values)?),
        ValueType::String => Array::String(parse_strings(cursor, &quoted, field)?),
        ValueType::Array => return Err(Error::NestedArray { key: key.to_owned(), offset }),
    })
}

fn parse_numbers<const N: usize, T>(
    cursor: &mut Cursor<'_>,
    from_le_bytes: fn([u8; N]) -> T,
    count_field: Arguments<'_>,
    values_field: Arguments<'_>,
) -> Result<Vec<T>, Error> {
    let n = cursor.count(N as u64, MAX_ARRAY_LEN, count_field)?;
    let bytes = cursor.take((n * N) as u64, values_field)?;
    let (chunks, _) = bytes.as_chunks::<N>();
    Ok(chunks.iter().map(|&chunk| from_le_bytes(chunk)).collect())
}

fn parse_bools(
    cursor: &mut Cursor<'_>,
    count_field: Arguments<'_>,
    values_field: Arguments<'_>,
) -> Result<Vec<bool>, Error> {
    let n = cursor.count(1, MAX_ARRAY_LEN, count_field)?;
    let start = cursor.offset();
    let bytes = cursor.take(n as u64, values_field)?;
    for (&byte, offset) in bytes.iter().zip(start..) {
        parse_bool(byte, offset, values_field)?;
    }
    Ok(bytes.iter().map(|&byte| byte == 1).collect())
}

/// Reads an array of strings in two passes: the first finds how much text there is, so that the second fills one
/// allocation of exactly that size.
fn parse_strings(cursor: &mut Cursor<'_>, key: &dyn Display, count_field: Arguments<'_>) -> Result<StringArray, Error> {
    let n = cursor.count(8, MAX_ARRAY_LEN, count_field)?;
    let offset = cursor.offset();
    let mut ahead = cursor.clone();
    let mut text_bytes = 0;
    for index in 0..n {
        text_bytes += ahead.string_bytes(MAX_STRING_BYTES, format_args!("string {index} of metadata key {key}"))?.len();
    }
    if text_bytes as u64 > MAX_ARRAY_TEXT_BYTES {
        let field = format!("the text of metadata key {key}, in bytes,");
        return Err(Error::TooLarge { field, offset, found: text_bytes as u64, limit: MAX_ARRAY_TEXT_BYTES });
    }
    let mut strings = StringArray::with_capacity(n, text_bytes);
    for index in 0..n {
        strings.push(cursor.string(MAX_STRING_BYTES, format_args!("string {index} of metadata key {key}"))?)?;
    }
    Ok(strings)
}

/// A tensor entry, checked alone.
struct Entry<'a> {
    name: &'a str,
    ty: TensorType,
    n_dims: u32,
    dims: [u64; MAX_DIMS],
    n_bytes: u64,
    /// Of the data, from the beginning of the data section.
    data_offset: u64,
    /// Where the entry begins, for error messages.
    at: u64,
    /// Where `data_offset` stands, for error messages.
    data_offset_at: u64,
}

impl Entry<'_> {
    fn with_data(&self, file: &Bytes, span: Span) -> TensorInfo {
        TensorInfo {
            name: self.name.into(),
            ty: self.ty,
            n_dims: self.n_dims,
            dims: self.dims,
            shard: 0,
            offset: span.start,
            // `lay_out` holds spans to the file's length, which is a `usize`.
            data: file.slice(span.start as usize..span.end as usize),
        }
    }
}

fn parse_tensor<'a>(cursor: &mut Cursor<'a>, index: usize) -> Result<Entry<'a>, Error> {
    let at = cursor.offset();
    let name = cursor.name(MAX_NAME_BYTES, format_args!("the name of tensor {index}"))?;
    let tensor = || name.to_owned();
    let quoted = Quoted(name);

    let offset = cursor.offset();
    let n_dims = cursor.u32(format_args!("the dimension count of tensor {quoted}"))?;
    if n_dims == 0 || n_dims as usize > MAX_DIMS {
        return Err(Error::DimCount { tensor: tensor(), offset, found: n_dims });
    }
    let dims_at = cursor.offset();
    let mut dims = [1; MAX_DIMS];
    for (dim, len) in dims.iter_mut().enumerate().take(n_dims as usize) {
        let offset = cursor.offset();
        *len = cursor.u64(format_args!("dimension {dim} of tensor {quoted}"))?;
        if *len == 0 {
            return Err(Error::ZeroDim { tensor: tensor(), offset, dim });
        }
    }

    let offset = cursor.offset();
    let id = cursor.u32(format_args!("the type of tensor {quoted}"))?;
    let ty = TensorType::from_id(id).map_err(|why| match why {
        TypeIdError::Removed { name } => Error::RemovedTensorType { tensor: tensor(), offset, id, name },
        TypeIdError::Unknown => Error::UnknownTensorType { tensor: tensor(), offset, id },
    })?;
    if !dims[0].is_multiple_of(ty.block_len() as u64) {
        return Err(Error::PartialBlock { tensor: tensor(), offset: dims_at, ty, row_len: dims[0] });
    }
    let n_bytes = size_in_bytes(ty, dims).ok_or_else(|| Error::SizeOverflow {
        tensor: tensor(),
        offset: dims_at,
        dims: dims[..n_dims as usize].to_vec(),
    })?;

    let data_offset_at = cursor.offset();
    let data_offset = cursor.u64(format_args!("the data offset of tensor {quoted}"))?;
    Ok(Entry { name, ty, n_dims, dims, n_bytes, data_offset, at, data_offset_at })
}

/// Bytes of a tensor whose rows are whole blocks, if its elements and bytes can be counted in `usize`.
pub(crate) fn size_in_bytes(ty: TensorType, dims: [u64; MAX_DIMS]) -> Option<u64> {
    let n_rows = dims[1..].iter().try_fold(1u64, |rows, &dim| rows.checked_mul(dim))?;
    let n_elements = dims[0].checked_mul(n_rows)?;
    let n_bytes = ty.row_bytes(dims[0])?.checked_mul(n_rows)?;
    // `isize` is what Rust allows an object to take.
    (isize::try_from(n_elements).is_ok() && isize::try_from(n_bytes).is_ok()).then_some(n_bytes)
}

fn check_names(entries: &[Entry<'_>]) -> Result<(), Error> {
    let mut by_name: Vec<&Entry<'_>> = entries.iter().collect();
    by_name.sort_unstable_by_key(|entry| (entry.name, entry.at));
    match by_name.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Error::DuplicateTensor { tensor: pair[1].name.to_owned(), offset: pair[1].at }),
        None => Ok(()),
    }
}

/// The bytes of a tensor in its file.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

/// Where each tensor's data lies in the file, whose tensor table ends at `table_end`: aligned, inside, and apart.
fn lay_out(entries: &[Entry<'_>], table_end: u64, alignment: u32, file_len: u64) -> Result<Vec<Span>, Error> {
    let mut spans = Vec::with_capacity(entries.len());
    // Saturating: a data section that would begin past the last u64 makes the first tensor's end overflow below.
    let data_start = table_end.checked_next_multiple_of(alignment.into()).unwrap_or(u64::MAX);
    for entry in entries {
        let (tensor, offset, found) = (|| entry.name.to_owned(), entry.data_offset_at, entry.data_offset);
        if !found.is_multiple_of(alignment.into()) {
            return Err(Error::UnalignedTensor { tensor: tensor(), offset, found, alignment });
        }
        let start = data_start.checked_add(found);
        let end = start.and_then(|start| start.checked_add(entry.n_bytes)).filter(|&end| end <= file_len);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(Error::TensorPastEnd { tensor: tensor(), offset, found, n_bytes: entry.n_bytes, file_len });
        };
        spans.push(Span { start, end });
    }

    let mut by_start: Vec<(Span, &Entry<'_>)> = spans.iter().copied().zip(entries).collect();
    by_start.sort_unstable_by_key(|(span, entry)| (span.start, entry.at));
    match by_start.windows(2).find(|pair| pair[1].0.start < pair[0].0.end) {
        Some(&[(_, other), (_, entry)]) => Err(Error::TensorOverlap {
            tensor: entry.name.to_owned(),
            other: other.name.to_owned(),
            offset: entry.data_offset_at,
        }),
        _ => Ok(spans),
    }
}
