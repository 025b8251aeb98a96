//! Every way to break a rule gives exactly the error for it, at the offset of the field.

mod common;

use std::path::PathBuf;

use bytes::Bytes;
use common::cases::{Case, all};
use common::raw::*;
use silhak_gguf::{Error, Gguf};

/// The name of the variant that parsing gives, or `"Ok"`.
fn outcome(bytes: &[u8]) -> String {
    match Gguf::parse(Bytes::copy_from_slice(bytes)) {
        Ok(_) => "Ok".to_owned(),
        Err(error) => {
            let debug = format!("{error:?}");
            debug.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
        }
    }
}

#[test]
fn each_case_gives_its_error() {
    let wrong: Vec<String> = all()
        .iter()
        .map(|case| (case, outcome(&case.bytes)))
        .filter(|(case, found)| *found != case.expected)
        .map(|(case, found)| format!("{}: expected {}, found {found}", case.name, case.expected))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The fuzzers start from these files (large ones would only slow them). `SILHAK_BLESS=1` writes them anew.
#[test]
fn corpus_has_each_small_case() {
    let folder = corpus();
    for Case { expected, name, bytes } in all().into_iter().filter(|case| case.bytes.len() <= 4096) {
        let path = folder.join(format!("{expected}--{name}"));
        if std::env::var_os("SILHAK_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        let stored = std::fs::read(&path).unwrap_or_default();
        assert!(stored == bytes && path.is_file(), "{} is stale: run with SILHAK_BLESS=1", path.display());
    }
}

/// Files are named after what must come of them. Those that a fuzzer found are here too.
#[test]
fn corpus_replays() {
    let mut files = 0;
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let expected = name.split("--").next().unwrap();
        assert_eq!(outcome(&std::fs::read(entry.path()).unwrap()), expected, "{name}");
        files += 1;
    }
    assert!(files >= 80, "only {files} files");
}

fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus/gguf_header"))
}

#[test]
fn errors_name_the_field_and_its_offset() {
    let parse = |raw: Raw| Gguf::parse(raw.0.into()).unwrap_err();

    let error = parse(Raw::v3(0, 2).key("a.b", U8).bytes(&[1]).key("c", STRING).u64(1 << 40));
    assert!(matches!(error, Error::TooLarge { offset: 53, found, limit, .. } if found == 1 << 40 && limit == 16 << 20));
    assert_eq!(
        error.to_string(),
        "the length of the value of metadata key `c` at byte 53 is 1099511627776, more than the 16777216 allowed; \
         the file is damaged or hostile"
    );

    let error = parse(Raw::v3(0, 1).array("tokens", STRING, 2).string("one").string(b"\xff"));
    assert!(matches!(error, Error::InvalidUtf8 { offset: 73, .. }), "{error:?}");
    assert!(error.to_string().starts_with("string 1 of metadata key `tokens` at byte 73 is not"), "{error}");

    let error = parse(Raw::v3(1, 0).tensor("w", &[256, 3], 99, 0).data(0));
    assert_eq!(
        error.to_string(),
        "tensor `w` has type id 99 (byte 53), which this version does not know; a newer Silhak may"
    );

    let error = parse(Raw::v3(1, 0).tensor("w", &[64], 36, 0).data(0));
    assert!(error.to_string().contains("has type IQ4_NL_4_4 (id 36, byte 45), which ggml has withdrawn"), "{error}");

    let error = parse(Raw::v3(2, 0).tensor("a", &[16], T_F32, 0).tensor("b", &[16], T_F32, 32).data(128));
    assert!(matches!(error, Error::TensorOverlap { offset: 82, .. }), "{error:?}");
    assert_eq!(error.to_string(), "the data of tensor `b` (data offset at byte 82) overlaps that of tensor `a`");
}

#[test]
fn a_file_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for open in [Gguf::open, Gguf::open_owned] {
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error.root(), Error::NotAFile), "{error}");
        let error = open(&folder.path().join("absent.gguf")).unwrap_err();
        assert!(matches!(error.root(), Error::Io { action: "open the file", .. }), "{error}");
        let empty = folder.path().join("empty.gguf");
        std::fs::write(&empty, "").unwrap();
        let error = open(&empty).unwrap_err();
        assert!(matches!(error.root(), Error::Truncated { offset: 0, .. }), "{error}");
        assert!(error.to_string().contains("empty.gguf: the file ends inside the magic number at byte 0"), "{error}");
    }
}
