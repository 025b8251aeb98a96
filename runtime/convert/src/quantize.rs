//! From a file to a smaller one.

use std::fs;
use std::num::NonZero;
use std::path::Path;

use silhak_gguf::{Gguf, TensorInfo, TensorType, Value, Writer};
use silhak_quant::{Format, Mix, Outline, dequantize, quantize as encode, quantize_weighted};

use crate::Error;
use crate::importance::Importance;
use crate::output::{Monitor, Output};

/// How to quantize.
#[derive(Debug, Clone)]
pub struct QuantizeOptions {
    /// The formats.
    pub mix: Mix,
    /// What matters more, so that more of it is kept.
    pub importance: Option<Importance>,
    /// Take a file that is quantized already, whose loss comes on top.
    pub allow_requantize: bool,
    /// Threads that quantize; by default as many as there are processors.
    pub threads: Option<NonZero<usize>>,
}

/// What was quantized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantizeReport {
    /// The source's size.
    pub source_bytes: u64,
    /// The file's size.
    pub bytes: u64,
    /// Tensors in the file.
    pub n_tensors: usize,
    /// Tensors that an interrupted run had written.
    pub n_resumed: usize,
    /// Matrices that got a format with smaller blocks than the mix asks for, because their rows are no whole blocks of that.
    pub n_fallbacks: usize,
}

/// Quantizes a model. Metadata and the order of tensors stay; vectors, and matrices that choose between experts, stay as
/// exact as they are. The file is the same whatever the number of threads.
///
/// # Errors
/// [`Error::Quantized`] for a source that is quantized already; and for what the system refuses. An interrupted run leaves a
/// hidden file beside `target`, from which the next one goes on.
pub fn quantize(
    source: &Path,
    target: &Path,
    options: &QuantizeOptions,
    monitor: &mut Monitor<'_>,
) -> Result<QuantizeReport, Error> {
    let gguf = Gguf::open(source)?;
    let parts = parts(&gguf, options.mix)?;
    if !options.allow_requantize {
        check_exact(&parts)?;
    }
    if let Some(importance) = &options.importance {
        importance.check(parts.iter().map(|part| part.tensor))?;
    }
    let tensors: Vec<_> = parts.iter().map(|part| (part.tensor.name(), part.n_chunks())).collect();
    let chunk = |part: usize, index| parts[part].chunk(index, &gguf, options.importance.as_ref());
    let identity = identity(source, options)?;
    let output = Output { target, identity: &identity, threads: options.threads };
    let written = output.write(writer(&gguf, &parts, options.mix)?, &tensors, chunk, monitor)?;
    Ok(QuantizeReport {
        source_bytes: gguf.file_bytes(),
        bytes: written.bytes,
        n_tensors: parts.len(),
        n_resumed: written.n_resumed,
        n_fallbacks: parts.iter().filter(|part| part.is_fallback).count(),
    })
}

/// The bytes of all tensors once they are quantized.
///
/// # Errors
/// [`Error::Type`] for a tensor that cannot be read.
pub fn quantized_bytes(gguf: &Gguf, mix: Mix) -> Result<u64, Error> {
    let bytes = |part: &Part<'_>| part.format.row_bytes(part.tensor.n_elements()).unwrap_or(0) as u64;
    Ok(parts(gguf, mix)?.iter().map(bytes).sum())
}

/// A tensor, and what it becomes.
struct Part<'a> {
    tensor: &'a TensorInfo,
    source: Format,
    format: Format,
    is_fallback: bool,
}

/// Values of a chunk: few enough to stay in the cache.
const CHUNK_VALUES: usize = 1 << 18;

impl Part<'_> {
    fn chunk_rows(&self) -> usize {
        (CHUNK_VALUES / self.tensor.row_len()).max(1)
    }

    fn n_chunks(&self) -> usize {
        self.tensor.n_rows().div_ceil(self.chunk_rows())
    }

    /// The bytes of a chunk.
    fn chunk(&self, index: usize, gguf: &Gguf, importance: Option<&Importance>) -> Result<Vec<u8>, Error> {
        let row_len = self.tensor.row_len();
        let first = index * self.chunk_rows();
        let rows = first..(first + self.chunk_rows()).min(self.tensor.n_rows());
        let data = gguf.data(self.tensor);
        let row_bytes = self.tensor.row_bytes();
        let bytes = &data[rows.start * row_bytes..rows.end * row_bytes];
        if self.format == self.source {
            return Ok(bytes.to_vec());
        }
        let failed = |source| Error::Quantize { name: self.tensor.name().into(), source };
        let mut values = vec![0.0; rows.len() * row_len];
        dequantize(self.source, bytes, &mut values).map_err(failed)?;
        let new_row_bytes = self
            .format
            .row_bytes(row_len)
            .ok_or_else(|| failed(silhak_quant::Error::PartialBlock { format: self.format, n_values: row_len }))?;
        let mut out = vec![0; rows.len() * new_row_bytes];
        match importance.filter(|_| self.format.block_len() > 1) {
            None => encode(self.format, &values, &mut out).map_err(failed)?,
            // Each expert of a layer has its own.
            Some(importance) => {
                let rows_of_all = rows.zip(values.chunks_exact(row_len)).zip(out.chunks_exact_mut(new_row_bytes));
                for ((row, values), out) in rows_of_all {
                    match importance.of_row(self.tensor, row) {
                        Some(weights) => quantize_weighted(self.format, values, row_len, weights, out),
                        None => encode(self.format, values, out),
                    }
                    .map_err(failed)?;
                }
            }
        }
        Ok(out)
    }
}

fn parts(gguf: &Gguf, mix: Mix) -> Result<Vec<Part<'_>>, Error> {
    let outline = outline(gguf)?;
    let part = |tensor| {
        let source = format_of(tensor)?;
        let (format, is_fallback) = new_format(tensor, source, mix, &outline);
        Ok(Part { tensor, source, format, is_fallback })
    };
    gguf.tensors().iter().map(part).collect()
}

/// What a tensor becomes, and whether that has smaller blocks than the mix asks for.
fn new_format(tensor: &TensorInfo, source: Format, mix: Mix, outline: &Outline) -> (Format, bool) {
    // RoPE's factors and what chooses between experts are small, and an error there is felt everywhere.
    let is_exact = tensor.n_dims() < 2 || !tensor.name().ends_with(".weight") || tensor.name().contains("ffn_gate_inp");
    if is_exact {
        // A vector that is stored with fewer bits has lost what F32 could keep.
        return (if source.block_len() == 1 { Format::F32 } else { source }, false);
    }
    let format = mix.format(tensor.name(), tensor.row_len(), outline);
    // Rows of 256 are whole blocks of every format.
    (format, format != mix.format(tensor.name(), 256, outline))
}

fn outline(gguf: &Gguf) -> Result<Outline, Error> {
    let metadata = gguf.metadata();
    let architecture = metadata.str("general.architecture")?;
    let size = |key: &str| Ok::<_, Error>(metadata.u32(&format!("{architecture}.{key}"))? as usize);
    let n_heads = size("attention.head_count")?;
    let n_kv_heads =
        metadata.opt_u32(&format!("{architecture}.attention.head_count_kv"))?.map_or(n_heads, |n| n as usize);
    Ok(Outline {
        n_layers: size("block_count")?,
        n_sharing: n_heads / n_kv_heads.max(1),
        tied: gguf.tensor("output.weight").is_none(),
    })
}

fn format_of(tensor: &TensorInfo) -> Result<Format, Error> {
    Format::from_ggml_id(tensor.ty().id())
        .ok_or_else(|| Error::Type { name: tensor.name().into(), found: tensor.ty().to_string() })
}

fn check_exact(parts: &[Part<'_>]) -> Result<(), Error> {
    match parts.iter().find(|part| part.source.block_len() > 1 && part.format != part.source) {
        Some(Part { tensor, source, .. }) => {
            Err(Error::Quantized { name: tensor.name().into(), found: source.to_string() })
        }
        None => Ok(()),
    }
}

fn writer(gguf: &Gguf, parts: &[Part<'_>], mix: Mix) -> Result<Writer, Error> {
    let mut writer = Writer::new();
    for (key, value) in gguf.metadata().iter() {
        match key {
            "general.file_type" | "general.quantization_version" => {}
            // A split source becomes one file.
            _ if key.starts_with("split.") => {}
            _ => drop(writer.add(key, value.clone())?),
        }
    }
    writer.add("general.file_type", Value::U32(mix.file_type()))?;
    // The version of the block formats, which is the one that all files have had since 2023.
    writer.add("general.quantization_version", Value::U32(2))?;
    for Part { tensor, format, .. } in parts {
        let ty = TensorType::from_name(format.name())
            .ok_or_else(|| Error::Type { name: tensor.name().into(), found: format.to_string() })?;
        writer.add_tensor(tensor.name(), ty, tensor.dims())?;
    }
    Ok(writer)
}

/// The source's path, length and time, and what else decides about the bytes.
fn identity(source: &Path, options: &QuantizeOptions) -> Result<String, Error> {
    let facts = fs::metadata(source).map_err(Error::io("read", source))?;
    let importance = options.importance.as_ref().map_or_else(String::new, Importance::identity);
    Ok(format!("{} {} {:?} {importance}", source.display(), facts.len(), facts.modified().ok()))
}
