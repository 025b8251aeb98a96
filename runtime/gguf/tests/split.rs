//! Models split over several files.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::{Path, PathBuf};

use silhak_gguf::{Error, Gguf, ShardName, TensorType, Writer};

/// What a shard says of itself; a test changes one of these.
#[derive(Clone)]
struct Shard {
    no: u16,
    count: u16,
    n_tensors: i32,
    tensors: Vec<String>,
}

fn shards() -> Vec<Shard> {
    let tensors = [vec!["a".to_owned()], vec!["c".to_owned(), "b".to_owned()], vec!["d".to_owned()]];
    tensors.into_iter().zip(0..).map(|(tensors, no)| Shard { no, count: 3, n_tensors: 4, tensors }).collect()
}

fn path(folder: &Path, no: u32) -> PathBuf {
    ShardName { prefix: folder.join("kor-32b"), no, count: 3 }.path()
}

/// Writes the shards under their proper names. Tensor data is the name.
fn write(folder: &Path, shards: &[Shard]) {
    for (no, shard) in (0..).zip(shards) {
        let mut writer = Writer::new();
        if no == 0 {
            writer.add("general.architecture", "exaone4").unwrap();
        }
        writer.add("split.no", shard.no).unwrap().add("split.count", shard.count).unwrap();
        writer.add("split.tensors.count", shard.n_tensors).unwrap();
        for name in &shard.tensors {
            writer.add_tensor(name, TensorType::I8, &[1]).unwrap();
        }
        let mut data = writer.begin(std::fs::File::create(path(folder, no)).unwrap()).unwrap();
        for name in &shard.tensors {
            data.write(name, name.as_bytes()).unwrap();
        }
        data.finish().unwrap();
    }
}

/// Opens the first shard of a model whose shard `no` is changed by `change`.
fn open_changed(no: usize, change: impl Fn(&mut Shard)) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let mut shards = shards();
    change(&mut shards[no]);
    write(folder.path(), &shards);
    Gguf::open(&path(folder.path(), 0)).unwrap_err()
}

#[test]
fn any_shard_opens_the_model() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &shards());
    let bytes: u64 = (0..3).map(|no| path(folder.path(), no).metadata().unwrap().len()).sum();
    for no in 0..3 {
        for open in [Gguf::open, Gguf::open_owned] {
            let model = open(&path(folder.path(), no)).unwrap();
            assert_eq!((model.n_shards(), model.file_bytes()), (3, bytes));
            assert_eq!(model.metadata().str("general.architecture").unwrap(), "exaone4");
            let names: Vec<_> = model.tensors().iter().map(|t| (t.name(), t.shard())).collect();
            assert_eq!(names, [("a", 0), ("c", 1), ("b", 1), ("d", 2)]);
            for tensor in model.tensors() {
                assert_eq!(*model.data(tensor), *tensor.name().as_bytes());
                assert_eq!(model.tensor(tensor.name()).map(|found| found.shard()), Some(tensor.shard()));
            }
        }
    }
}

#[test]
fn a_missing_shard_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &shards());
    std::fs::remove_file(path(folder.path(), 1)).unwrap();
    let error = Gguf::open(&path(folder.path(), 2)).unwrap_err();
    assert!(matches!(error.root(), Error::Io { action: "open the file", .. }), "{error}");
    assert!(error.to_string().contains("kor-32b-00002-of-00003.gguf: cannot open"), "{error}");
}

#[test]
fn shards_must_agree() {
    let mismatch = |error: Error| match error.root() {
        Error::ShardMismatch { field, expected, found } => (*field, *expected, *found),
        other => panic!("{other}"),
    };
    assert_eq!(mismatch(open_changed(0, |shard| shard.no = 1)), ("split.no", 0, 1));
    assert_eq!(mismatch(open_changed(0, |shard| shard.count = 4)), ("split.count", 3, 4));
    assert_eq!(mismatch(open_changed(1, |shard| shard.no = 2)), ("split.no", 1, 2));
    assert_eq!(mismatch(open_changed(2, |shard| shard.count = 2)), ("split.count", 3, 2));
    assert_eq!(mismatch(open_changed(2, |shard| shard.count = 1)), ("split.count", 3, 1));
    assert_eq!(mismatch(open_changed(1, |shard| shard.n_tensors = 5)), ("split.tensors.count", 4, 5));
    let too_few = open_changed(1, |shard| shard.tensors.truncate(1));
    assert_eq!(mismatch(too_few), ("the number of tensors in all shards", 4, 3));
}

#[test]
fn absurd_split_metadata_is_refused() {
    let error = open_changed(0, |shard| shard.count = u16::MAX);
    assert!(error.to_string().contains("`split.count` is 65535: expected at most 4096 shards"), "{error}");
    let error = open_changed(0, |shard| shard.n_tensors = -1);
    assert!(error.to_string().contains("`split.tensors.count` is -1: expected u64"), "{error}");
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let error = open_changed(2, |shard| shard.tensors = vec!["a".to_owned()]);
    assert!(matches!(error.root(), Error::DuplicateTensor { tensor, .. } if tensor == "a"), "{error}");
}

#[test]
fn a_renamed_shard_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &shards());
    let renamed = folder.path().join("model.gguf");
    std::fs::rename(path(folder.path(), 0), &renamed).unwrap();
    let error = Gguf::open(&renamed).unwrap_err();
    assert!(matches!(error.root(), Error::ShardName { no: 0, count: 3 }), "{error}");
    assert!(error.to_string().contains("does not end in -00001-of-00003.gguf"), "{error}");

    let error = Gguf::parse(std::fs::read(&renamed).unwrap().into()).unwrap_err();
    assert!(matches!(error, Error::ShardMismatch { field: "split.count", expected: 1, found: 3 }), "{error}");
}
