//! The tensors of a checkpoint, in one safetensors file or several.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::Error;
use crate::config::Config;
use crate::fp8::{self, Scales, from_e4m3};

/// All tensors, by name.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    files: Vec<Shard>,
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
}

/// Where a tensor lies, and what its bytes are.
#[derive(Debug)]
pub(crate) struct Tensor {
    shard: usize,
    start: u64,
    dtype: Dtype,
    /// The slowest dimension first.
    pub(crate) shape: Vec<usize>,
    /// Those of 8-bit floats.
    scales: Option<Scales>,
}

impl Tensor {
    /// Rows of values that lie behind each other; a vector is one.
    pub(crate) fn rows(&self) -> usize {
        let (_, others) = self.shape.split_last().unwrap_or((&1, &[]));
        others.iter().product()
    }

    /// Values per row.
    pub(crate) fn cols(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    pub(crate) fn dtype(&self) -> Dtype {
        self.dtype
    }
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The format's own bound on its header.
const MAX_HEADER: u64 = 100_000_000;

impl Checkpoint {
    /// Reads the headers of all files.
    pub(crate) fn open(folder: &Path) -> Result<Checkpoint, Error> {
        let mut checkpoint = Checkpoint { files: Vec::new(), tensors: BTreeMap::new() };
        for name in shard_names(folder)? {
            checkpoint.add(&folder.join(name))?;
        }
        checkpoint.find_scales(folder)?;
        Ok(checkpoint)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The paths, lengths and times of the files: another set of these are other weights.
    pub(crate) fn identity(&self) -> Result<String, Error> {
        let mut identity = String::new();
        for Shard { path, file } in &self.files {
            let facts = file.metadata().map_err(Error::io("read", path))?;
            identity.push_str(&format!("{} {} {:?}\n", path.display(), facts.len(), facts.modified().ok()));
        }
        Ok(identity)
    }

    /// Values of consecutive rows, as float32.
    pub(crate) fn read(&self, tensor: &Tensor, rows: Range<usize>, out: &mut Vec<f32>) -> Result<(), Error> {
        let Shard { path, file } = &self.files[tensor.shard];
        let (value_bytes, begin) = (tensor.dtype.bitsize() / 8, out.len());
        let row_bytes = tensor.cols() * value_bytes;
        let mut bytes = vec![0; rows.len() * row_bytes];
        let start = tensor.start + (rows.start * row_bytes) as u64;
        read_exact_at(file, &mut bytes, start).map_err(Error::io("read", path))?;
        match tensor.dtype {
            Dtype::F32 => extend(out, &bytes, f32::from_le_bytes),
            Dtype::F16 => extend(out, &bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => extend(out, &bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F8_E4M3 => extend(out, &bytes, |[b]| from_e4m3(b)),
            other => return Err(Error::Dtype { path: path.clone(), found: format!("{other:?}") }),
        }
        if let Some(scales) = &tensor.scales {
            scales.apply(rows, tensor.cols(), &mut out[begin..]);
        }
        Ok(())
    }

    /// Puts the scales of 8-bit floats with what they scale: beside `X.weight`, makers have `X.weight_scale_inv` (by which it
    /// is multiplied, whatever the name says) or `X.weight_scale`. What they scale activations by is of no use here.
    fn find_scales(&mut self, folder: &Path) -> Result<(), Error> {
        let is_fp8 = |(name, tensor): (&String, &Tensor)| (tensor.dtype == Dtype::F8_E4M3).then(|| name.clone());
        let names: Vec<String> = self.tensors.iter().filter_map(is_fp8).collect();
        if names.is_empty() {
            return Ok(());
        }
        let block = fp8::block_size(&Config::read_optional(&folder.join("config.json"))?)?;
        for name in names {
            let found = ["_scale_inv", "_scale"].iter().find_map(|end| self.tensors.remove(&format!("{name}{end}")));
            let tensor = found.ok_or_else(|| Error::MissingTensor { name: format!("{name}_scale") })?;
            let mut values = Vec::new();
            self.read(&tensor, 0..tensor.rows(), &mut values)?;
            if let Some(module) = name.strip_suffix(".weight") {
                self.tensors.remove(&format!("{module}.input_scale"));
            }
            if let Some(scaled) = self.tensors.get_mut(&name) {
                let scales = Scales::new(values, &tensor.shape, &scaled.shape, block);
                let wrong =
                    || Error::Scales { name: name.clone(), shape: scaled.shape.clone(), found: tensor.shape.clone() };
                scaled.scales = Some(scales.ok_or_else(wrong)?);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> Result<(), Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let len = file.metadata().map_err(Error::io("read", path))?.len();
        let broken = |reason: String| Error::Safetensors { path: path.to_owned(), reason };
        let mut size = [0; 8];
        read_exact_at(&file, &mut size, 0).map_err(Error::io("read", path))?;
        let header_bytes = u64::from_le_bytes(size);
        if header_bytes > MAX_HEADER.min(len.saturating_sub(8)) {
            return Err(broken(format!("its header has {header_bytes} bytes: the file is cut off or of another kind")));
        }
        let mut header = vec![0; header_bytes as usize];
        read_exact_at(&file, &mut header, 8).map_err(Error::io("read", path))?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|error| broken(error.to_string()))?;
        let data = 8 + header_bytes;
        let shard = self.files.len();
        for (name, info) in header.tensors() {
            let (begin, end) = info.data_offsets;
            let bits = info.shape.iter().try_fold(info.dtype.bitsize(), |bits, &n| bits.checked_mul(n));
            let whole = bits.is_some_and(|bits| end.checked_sub(begin) == Some(bits / 8)) && end as u64 <= len - data;
            if !whole {
                return Err(broken(format!(
                    "tensor '{name}' lies at {begin} to {end}, which is not its size or place"
                )));
            }
            let (start, shape) = (data + begin as u64, info.shape.clone());
            let tensor = Tensor { shard, start, dtype: info.dtype, shape, scales: None };
            if self.tensors.insert(name.clone(), tensor).is_some() {
                return Err(broken(format!("tensor '{name}' is in another file, too")));
            }
        }
        self.files.push(Shard { path: path.to_owned(), file });
        Ok(())
    }
}

/// The names of the files, in order.
fn shard_names(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let index = folder.join(INDEX);
    if !index.exists() {
        return match folder.join(SINGLE).exists() {
            true => Ok(BTreeSet::from([SINGLE.to_owned()])),
            false => Err(Error::NoWeights { folder: folder.to_owned(), expected: format!("{SINGLE} or {INDEX}") }),
        };
    }
    let config = Config::read(&index)?;
    let wrong = || config.wrong("weight_map", "names of tensors with the names of their files");
    let files = config.get("weight_map").and_then(|map| map.as_object()).ok_or_else(wrong)?.values();
    files
        .map(|name| {
            // A name that leads elsewhere is not a file of this checkpoint.
            let name = name.as_str().filter(|name| Path::new(name).file_name() == Some(name.as_ref()));
            Ok(name.ok_or_else(wrong)?.to_owned())
        })
        .collect()
}

fn extend<const N: usize>(out: &mut Vec<f32>, bytes: &[u8], convert: impl Fn([u8; N]) -> f32) {
    out.extend(bytes.as_chunks::<N>().0.iter().map(|&value| convert(value)));
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut start: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, start)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                bytes = &mut bytes[n..];
                start += n as u64;
            }
        }
    }
    Ok(())
}
