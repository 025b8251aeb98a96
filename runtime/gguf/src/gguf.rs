//! A model's files, opened.

use std::path::Path;

use bytes::Bytes;

use crate::limits::{MAX_SHARDS, MAX_TENSORS};
use crate::parse::{Shard, parse};
use crate::source::{Access, FileFacts, Map, Source, load};
use crate::split::{SPLIT_COUNT, SPLIT_NO, SPLIT_TENSORS};
use crate::{Error, Metadata, ShardName, TensorInfo};

/// A model: all its shards, checked.
///
/// The metadata is that of the first shard, where writers put all of it; the other shards have only `split.*` keys.
/// The files' memory (or map) lives as long as this, a clone of it, or one of its tensors.
#[derive(Clone, Debug)]
pub struct Gguf {
    version: u32,
    alignment: u32,
    n_shards: u32,
    file_bytes: u64,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    /// Positions in `tensors` by ascending name.
    by_name: Vec<u32>,
    /// The maps of the files, where they are mapped.
    maps: Vec<Map>,
    files: Vec<FileFacts>,
}

impl Gguf {
    /// Opens the model at `path` by mapping it; any shard of a split model opens them all.
    ///
    /// Metadata and the tensor table are read and checked now and copied out; tensor data is read by the system when
    /// it is first touched. **Nobody may change or cut the files while the model is open**: reading tensor data would
    /// give other numbers, and past a new end the system kills the process (SIGBUS). Replacing a file by renaming
    /// another over it is harmless. Where that cannot be promised (removable or network drives, files that others
    /// write), use [`Gguf::open_owned`].
    ///
    /// # Errors
    /// [`Error::File`] around what is wrong with the file or with a shard.
    pub fn open(path: &Path) -> Result<Gguf, Error> {
        open(path, Access::Map)
    }

    /// Opens the model at `path` by reading all of it into memory, where later changes of the files cannot reach it.
    ///
    /// # Errors
    /// As [`Gguf::open`], and [`Error::Io`] when there is not enough memory.
    pub fn open_owned(path: &Path) -> Result<Gguf, Error> {
        open(path, Access::Own)
    }

    /// Reads a model of one file from memory. Tensor data is aligned in memory as far as `bytes` is.
    ///
    /// # Errors
    /// What is wrong with it; [`Error::ShardMismatch`] when it is one shard of several.
    pub fn parse(bytes: Bytes) -> Result<Gguf, Error> {
        let shard = parse(&bytes)?;
        match Split::of(&shard.metadata)? {
            Some(split) => Err(Error::ShardMismatch { field: SPLIT_COUNT, expected: 1, found: split.count.into() }),
            None => Gguf::assemble(shard, Vec::new()),
        }
    }

    /// Keys and values.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All tensors, shard by shard, in the order of each file's table.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor with this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let found = self.by_name.binary_search_by(|&at| self.tensors[at as usize].name().cmp(name)).ok()?;
        Some(&self.tensors[self.by_name[found] as usize])
    }

    /// The bytes of a tensor: a view that keeps the file's memory alive, not a copy.
    ///
    /// In memory it begins at a multiple of the file's alignment, up to 4096, unless the model was [parsed from
    /// memory](Gguf::parse).
    pub fn data(&self, tensor: &TensorInfo) -> Bytes {
        tensor.data.clone()
    }

    /// The files as they were when they were opened; none for a model that was parsed from memory.
    pub fn files(&self) -> &[FileFacts] {
        &self.files
    }

    /// A function that lets the system have the memory of tensor data which is not needed for now: bytes of a mapped file
    /// are read from it again when they are touched. Other data stays as it is.
    pub fn releaser(&self) -> impl Fn(&[u8]) + Send + Sync + use<> {
        let maps = self.maps.clone();
        move |data| maps.iter().for_each(|map| map.release(data))
    }

    /// The GGUF version of the (first) file: 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The alignment of tensor data in the (first) file, in bytes.
    pub fn alignment(&self) -> u32 {
        self.alignment
    }

    /// Number of files.
    pub fn n_shards(&self) -> u32 {
        self.n_shards
    }

    /// Bytes of all files together.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Puts the shards of a model together.
    fn assemble(first: Shard, rest: Vec<Shard>) -> Result<Gguf, Error> {
        let mut model = Gguf {
            version: first.version,
            alignment: first.alignment,
            n_shards: 1,
            file_bytes: first.file_bytes,
            metadata: first.metadata,
            tensors: first.tensors,
            by_name: Vec::new(),
            maps: first.map.into_iter().collect(),
            files: first.facts.into_iter().collect(),
        };
        for shard in rest {
            model.n_shards += 1;
            model.file_bytes += shard.file_bytes;
            model.maps.extend(shard.map);
            model.files.extend(shard.facts);
            let no = model.n_shards - 1;
            model.tensors.extend(shard.tensors.into_iter().map(|tensor| TensorInfo { shard: no, ..tensor }));
        }
        model.by_name = (0..model.tensors.len() as u32).collect();
        let tensors = &model.tensors;
        model.by_name.sort_unstable_by_key(|&at| (tensors[at as usize].name(), at));
        match model.by_name.windows(2).find(|pair| tensors[pair[0] as usize].name == tensors[pair[1] as usize].name) {
            Some(pair) => {
                let twice = &tensors[pair[1] as usize];
                Err(Error::DuplicateTensor { tensor: twice.name().to_owned(), offset: twice.offset })
            }
            None => Ok(model),
        }
    }
}

fn open(path: &Path, access: Access) -> Result<Gguf, Error> {
    let (opened, split) = open_shard(path, access)?;
    let Some(split) = split else {
        return Gguf::assemble(opened, Vec::new());
    };
    let (no, count) = (split.no, split.count);
    let name = ShardName::parse(path).ok_or_else(|| Error::ShardName { no, count }.in_file(path))?;
    split.check(name.no, name.count, split.n_tensors).map_err(|error| error.in_file(path))?;

    let mut opened = Some(opened);
    let mut shards = Vec::new();
    for other in 0..count {
        if other == no {
            shards.extend(opened.take());
            continue;
        }
        let path = name.sibling(other).path();
        let (shard, facts) = open_shard(&path, access)?;
        let facts = facts.unwrap_or(Split { no: 0, count: 1, n_tensors: shard.tensors.len() as u64 });
        facts.check(other, count, split.n_tensors).map_err(|error| error.in_file(&path))?;
        shards.push(shard);
    }
    let found: u64 = shards.iter().map(|shard| shard.tensors.len() as u64).sum();
    if found != split.n_tensors {
        let error =
            Error::ShardMismatch { field: "the number of tensors in all shards", expected: split.n_tensors, found };
        return Err(error.in_file(path));
    }
    // A split model has at least two shards, so there is a first.
    let first = shards.remove(0);
    Gguf::assemble(first, shards).map_err(|error| error.in_file(path))
}

fn open_shard(path: &Path, access: Access) -> Result<(Shard, Option<Split>), Error> {
    let open = || {
        let Source { bytes, map, facts } = load(path, access)?;
        let shard = Shard { map, facts: Some(facts), ..parse(&bytes)? };
        let split = Split::of(&shard.metadata)?;
        Ok((shard, split))
    };
    open().map_err(|error: Error| error.in_file(path))
}

/// What the metadata of a shard says about the whole.
struct Split {
    no: u32,
    count: u32,
    n_tensors: u64,
}

impl Split {
    /// The `split.*` keys; `None` for a model of one file.
    fn of(metadata: &Metadata) -> Result<Option<Split>, Error> {
        let count = metadata.opt_u32(SPLIT_COUNT)?.unwrap_or(1);
        if count <= 1 {
            return Ok(None);
        }
        if count > MAX_SHARDS {
            let expected = format!("at most {MAX_SHARDS} shards");
            return Err(Error::OutOfRange { key: SPLIT_COUNT.to_owned(), expected, found: count.to_string() });
        }
        let n_tensors = metadata.u64(SPLIT_TENSORS)?;
        if n_tensors > MAX_TENSORS {
            let expected = format!("at most {MAX_TENSORS} tensors");
            return Err(Error::OutOfRange { key: SPLIT_TENSORS.to_owned(), expected, found: n_tensors.to_string() });
        }
        Ok(Some(Split { no: metadata.u32(SPLIT_NO)?, count, n_tensors }))
    }

    fn check(&self, no: u32, count: u32, n_tensors: u64) -> Result<(), Error> {
        let facts = [
            (SPLIT_COUNT, count.into(), self.count.into()),
            (SPLIT_NO, no.into(), self.no.into()),
            (SPLIT_TENSORS, n_tensors, self.n_tensors),
        ];
        match facts.into_iter().find(|(_, expected, found)| expected != found) {
            Some((field, expected, found)) => Err(Error::ShardMismatch { field, expected, found }),
            None => Ok(()),
        }
    }
}
