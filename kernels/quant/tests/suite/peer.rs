//! Live comparison with gguf-py and libgguf, where `python3` has them (`pip install gguf==0.19.0
//! libgguf==0.2.2`); `SILHAK_PYTHON` names another interpreter. `SILHAK_QUANT_BLOCKS` sets the number of
//! random blocks per format.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use silhak_quant::{Format, dequantize, quantize};

use crate::data::{gaussian, random_bits, rmse};

#[test]
fn random_blocks_decode_to_the_same_bits() {
    let Some(peer) = Peer::find("decode") else { return };
    let n_blocks: usize = std::env::var("SILHAK_QUANT_BLOCKS").map_or(4000, |n| n.parse().unwrap());
    for &format in Format::ALL.iter().filter(|&&f| f != Format::F32) {
        let n_bytes = n_blocks * format.block_bytes();
        let seed = u64::from(format.ggml_id()) << 40;
        let mut bytes: Vec<u8> =
            (0..n_bytes.div_ceil(8) as u64).flat_map(|i| random_bits(seed + i).to_le_bytes()).collect();
        bytes.truncate(n_bytes);
        let (blocks, values) = (peer.file("blocks"), peer.file("values"));
        std::fs::write(&blocks, &bytes).unwrap();
        peer.ask(["decode".as_ref(), format.name().as_ref(), blocks.as_os_str(), values.as_os_str()]);

        let expected = read_values(&values);
        let mut decoded = vec![0.0; n_blocks * format.block_len()];
        dequantize(format, &bytes, &mut decoded).unwrap();
        assert_eq!(decoded.len(), expected.len());
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        let different = decoded.iter().zip(&expected).filter(|&(&a, &b)| !same(a, b)).count();
        let finite = decoded.iter().filter(|x| x.is_finite()).count();
        println!(
            "{:7} {n_blocks} blocks, {} values ({finite} finite), {different} differ",
            format.name(),
            decoded.len()
        );
        assert_eq!(different, 0, "{format}");
    }
}

#[test]
fn quantization_error_is_no_worse_on_gaussian_values() {
    let Some(peer) = Peer::find("gaussian") else { return };
    compare_errors(&peer, "gaussian", &gaussian(1 << 17));
}

#[test]
fn quantization_error_is_no_worse_on_real_weights() {
    let Some(peer) = Peer::find("weights") else { return };
    let models = test_models();
    let mut n_models = 0;
    for entry in std::fs::read_dir(&models).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension() == Some(OsStr::new("gguf")) {
            let values = peer.file("values");
            peer.ask(["weights".as_ref(), path.as_os_str(), "500000".as_ref(), values.as_os_str()]);
            compare_errors(&peer, &path.file_stem().unwrap().to_string_lossy(), &read_values(&values));
            n_models += 1;
        }
    }
    if n_models == 0 {
        skip("models", &format!("no .gguf file in {}", models.display()));
    }
}

fn compare_errors(peer: &Peer, what: &str, values: &[f32]) {
    let file = peer.file("source");
    std::fs::write(&file, bytemuck::cast_slice(values)).unwrap();
    let mut decoded = vec![0.0; values.len()];
    for &format in Format::ALL.iter().filter(|&&f| f != Format::F32) {
        let theirs = peer.ask(["error".as_ref(), format.name().as_ref(), file.as_os_str()]);
        let theirs: f64 = theirs.trim().parse().unwrap();
        let mut bytes = vec![0; format.row_bytes(values.len()).unwrap()];
        quantize(format, values, &mut bytes).unwrap();
        dequantize(format, &bytes, &mut decoded).unwrap();
        let ours = rmse(values, &decoded);
        let ratio = ours / theirs;
        println!("{what:22} {:7} ours {ours:.3e}, libgguf {theirs:.3e}, ratio {ratio:.3}", format.name());
        assert!(ours <= 1.0005 * theirs, "{format} on {what}: {ours} against {theirs}");
    }
}

/// A Python interpreter with the packages, and a folder for what it reads and writes.
struct Peer {
    python: String,
    folder: PathBuf,
}

impl Peer {
    fn find(test: &str) -> Option<Peer> {
        let python = std::env::var("SILHAK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peer-{test}"));
        std::fs::create_dir_all(&folder).unwrap();
        let peer = Peer { python, folder };
        match peer.command(["check".as_ref()]).output() {
            Ok(output) if output.status.success() => Some(peer),
            _ => {
                skip("python", &format!("`{}` has no gguf and libgguf packages", peer.python));
                None
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn command<const N: usize>(&self, arguments: [&OsStr; N]) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/peer.py")).args(arguments);
        command
    }

    fn ask<const N: usize>(&self, arguments: [&OsStr; N]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Hundreds of megabytes may lie there; what cannot be removed is only left over.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn read_values(path: &Path) -> Vec<f32> {
    std::fs::read(path).unwrap().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// Where the test models are.
fn test_models() -> PathBuf {
    let var = |name| std::env::var_os(name).map(PathBuf::from);
    var("SILHAK_TEST_MODELS").unwrap_or_else(|| {
        let cache = var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")));
        cache.unwrap_or_default().join("silhak/test-models")
    })
}

/// Says that a test was left out, or fails where `SILHAK_REQUIRE` forbids that.
fn skip(what: &str, why: &str) {
    let required = std::env::var("SILHAK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == what), "SILHAK_REQUIRE names `{what}`, but {why}");
    println!("SKIPPED: {why}");
}
