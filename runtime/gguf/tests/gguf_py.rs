//! An independent implementation, gguf-py (PyPI `gguf`), reads what we write, and we read what it writes.
//!
//! Python is `$SILHAK_PYTHON`, or `python3`.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::path::Path;
use std::process::Command;

use common::dump::dump;
use common::random;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use silhak_gguf::{Gguf, ShardName, TensorType};

/// Types that the gguf-py in use may lack, or whose block it takes for larger than it is (Q8_1 is never in files).
const NOT_COMPARED: [TensorType; 2] = [TensorType::Q8_1, TensorType::Q2_0];

#[test]
fn gguf_py_reads_what_we_write() {
    let Some(python) = python() else { return };
    let types: Vec<_> = TensorType::ALL.into_iter().filter(|ty| !NOT_COMPARED.contains(ty)).collect();
    let strategy = random::model(Vec::leak(types));
    let mut runner = TestRunner::deterministic();

    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command.arg(script("dump.py"));
    let mut expected = String::new();
    for index in 0..64 {
        let model = strategy.new_tree(&mut runner).unwrap().current();
        let path = folder.path().join(format!("{index}.gguf"));
        std::fs::write(&path, model.write()).unwrap();
        expected += &(dump(&Gguf::open(&path).unwrap()) + "end\n");
        command.arg(path);
    }
    let output = run(&mut command);
    // A file without entries prints an empty line.
    for (line, (found, expected)) in output.lines().filter(|l| !l.is_empty()).zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {line}");
    }
    assert_eq!(output.lines().filter(|l| !l.is_empty()).count(), expected.lines().count());
}

#[test]
fn we_read_what_gguf_py_writes() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("python.gguf");
    let split = folder.path().join("split.gguf");
    run(Command::new(&python).arg(script("write.py")).args([&path, &split]));
    let model = Gguf::open(&path).unwrap();
    assert_eq!(dump(&model) + "end\n", run(Command::new(&python).arg(script("dump.py")).arg(&path)));

    let metadata = model.metadata();
    assert_eq!(model.alignment(), 64);
    assert_eq!(metadata.str("general.architecture").unwrap(), "exaone4");
    assert_eq!(metadata.u32("u32").unwrap(), u32::MAX);
    assert_eq!(metadata.i32("i16").unwrap(), -32768);
    assert_eq!(metadata.u64("u64").unwrap(), u64::MAX);
    assert_eq!(metadata.f32("f32").unwrap(), 0.1);
    assert!(metadata.bool("bool").unwrap());
    assert_eq!(metadata.str("string").unwrap(), "실학은 실사구시");
    assert!(metadata.str_array("strings").unwrap().iter().eq(["더", "스마트하게", ""]));
    assert_eq!(metadata.bool_array("bools").unwrap(), [true, false]);
    assert_eq!(*metadata.i32_array("tokenizer.ggml.token_type").unwrap(), [1, 2, 3]);
    assert_eq!(metadata.f32_array("tokenizer.ggml.scores").unwrap(), [0.5, -0.5]);

    let tensor = |name| model.tensor(name).unwrap();
    assert_eq!((tensor("f32").ty(), tensor("f32").dims()), (TensorType::F32, &[32, 3][..]));
    assert_eq!((tensor("f16").ty(), tensor("f16").dims()), (TensorType::F16, &[16, 3, 2][..]));
    assert_eq!((tensor("q8_0").ty(), tensor("q8_0").dims()), (TensorType::Q8_0, &[32, 3][..]));
    assert_eq!(*model.data(tensor("i32")), [7i32.to_le_bytes(), (-7i32).to_le_bytes()].concat());
    let bytes: Vec<u8> = (0..3 * 34).collect();
    assert_eq!(*model.data(tensor("q8_0")), bytes);

    let shard = ShardName { prefix: folder.path().join("split"), no: 2, count: 3 };
    let split = Gguf::open(&shard.path()).unwrap();
    assert_eq!(split.metadata().u32("exaone4.block_count").unwrap(), 1);
    for (index, tensor) in (0i32..).zip(split.tensors()) {
        assert_eq!((tensor.name(), tensor.shard()), (&*format!("t{index}"), index as u32 / 2));
        assert_eq!(*split.data(tensor), index.to_le_bytes());
    }
    assert_eq!(split.tensors().len(), 5);
}

/// Python with gguf-py and its numpy.
fn python() -> Option<std::ffi::OsString> {
    let python = std::env::var_os("SILHAK_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", "import gguf"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    common::skip("python", &format!("{} cannot import gguf; pip install gguf==0.19.0", python.display()));
    None
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common").join(name)
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}
