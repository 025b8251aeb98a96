//! What quantizing writes, and what it refuses.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::fs;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::{convert_all, fixture};
use silhak_convert::{Error, Importance, Mix, Options, QuantizeOptions, QuantizeReport, quantize, quantized_bytes};
use silhak_gguf::{Gguf, TensorType, Writer};
use silhak_quant::{Format, Outline, dequantize};
use tempfile::TempDir;

fn options(mix: Mix) -> QuantizeOptions {
    QuantizeOptions { mix, importance: None, allow_requantize: false, threads: None }
}

/// A model in the maker's own format.
struct Source(TempDir);

impl Source {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        convert_all(&fixture("exaone4"), &folder.path().join("source.gguf"), &Options::default()).unwrap();
        Source(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("source.gguf")
    }

    fn quantize(&self, options: &QuantizeOptions) -> Result<(QuantizeReport, Vec<u8>), Error> {
        let target = self.0.path().join("target.gguf");
        let report = quantize(&self.path(), &target, options, &mut |_| ControlFlow::Continue(()))?;
        Ok((report, fs::read(target).unwrap()))
    }
}

/// Nothing is lost on the way over BF16, so both ways lead to the same tensors.
#[test]
fn quantizing_a_converted_model_is_converting_to_that_type() {
    let source = Source::new();
    for &mix in Mix::ALL {
        let (report, found) = source.quantize(&options(mix)).unwrap();
        assert_eq!(
            (report.bytes, report.source_bytes),
            (found.len() as u64, fs::metadata(source.path()).unwrap().len())
        );
        let direct = source.0.path().join("direct.gguf");
        convert_all(&fixture("exaone4"), &direct, &Options { mix: Some(mix), ..Options::default() }).unwrap();
        let (found, expected) = (Gguf::parse(found.into()).unwrap(), Gguf::open(&direct).unwrap());
        let mut bytes = 0;
        for (found_tensor, tensor) in found.tensors().iter().zip(expected.tensors()) {
            assert_eq!(found_tensor.name(), tensor.name());
            assert_eq!(
                (found_tensor.ty(), found_tensor.dims()),
                (tensor.ty(), tensor.dims()),
                "{mix} {}",
                tensor.name()
            );
            assert!(found.data(found_tensor) == expected.data(tensor), "{mix} {}", tensor.name());
            bytes += tensor.n_bytes() as u64;
        }
        assert_eq!(quantized_bytes(&Gguf::open(&source.path()).unwrap(), mix).unwrap(), bytes);
        for (key, value) in expected.metadata().iter().filter(|(key, _)| *key != "general.name") {
            assert_eq!(found.metadata().get(key), Some(value), "{mix}");
        }
    }
}

/// Rows of 96 are no blocks of 256, but blocks of 32.
#[test]
fn rows_that_are_no_whole_blocks_fall_back() {
    let (report, bytes) = Source::new().quantize(&options(Mix::Q4KM)).unwrap();
    let file = Gguf::parse(bytes.into()).unwrap();
    let model = Outline { n_layers: 6, n_sharing: 3, tied: false };
    let matrices: Vec<_> = file.tensors().iter().filter(|t| t.n_dims() == 2).collect();
    assert_eq!(report.n_fallbacks, matrices.len());
    for tensor in matrices {
        let format = Mix::Q4KM.format(tensor.name(), tensor.row_len(), &model);
        assert_eq!((tensor.ty().name(), format.block_len()), (format.name(), 32), "{}", tensor.name());
    }
    assert_eq!(Source::new().quantize(&options(Mix::Q8_0)).unwrap().0.n_fallbacks, 0);
}

#[test]
fn threads_do_not_change_the_file() {
    let source = Source::new();
    let with = |n| source.quantize(&QuantizeOptions { threads: NonZero::new(n), ..options(Mix::Q4_0) }).unwrap().1;
    let one = with(1);
    assert!(one == with(2) && one == with(5));
}

#[test]
fn what_is_quantized_is_not_quantized_again_unasked() {
    let source = Source::new();
    let (_, bytes) = source.quantize(&options(Mix::Q8_0)).unwrap();
    fs::write(source.path(), bytes).unwrap();
    let error = source.quantize(&options(Mix::Q4_0)).unwrap_err().to_string();
    assert!(error.contains("Q8_0") && error.contains("--allow-requantize"), "{error}");
    let asked = QuantizeOptions { allow_requantize: true, ..options(Mix::Q4_0) };
    assert!(source.quantize(&asked).unwrap().0.bytes < fs::metadata(source.path()).unwrap().len());
    // To the same format nothing is lost.
    source.quantize(&options(Mix::Q8_0)).unwrap();
}

/// Where half the columns matter a thousand times more, the error moves out of them.
#[test]
fn importance_moves_the_error() {
    let source = Source::new();
    let name = "blk.2.ffn_up.weight";
    let path = source.0.path().join("importance.gguf");
    let sums: Vec<f32> = (0..96).map(|i| if i % 2 == 0 { 8000.0 } else { 8.0 }).collect();
    write_importance(&path, name, &sums, 8.0);
    let importance = Some(Importance::read(&path).unwrap());
    let error_of_even_columns = |importance: Option<Importance>| {
        let (_, bytes) = source.quantize(&QuantizeOptions { importance, ..options(Mix::Q4_0) }).unwrap();
        let (found, expected) =
            (values(&Gguf::parse(bytes.into()).unwrap(), name), values(&Gguf::open(&source.path()).unwrap(), name));
        found.iter().zip(expected).step_by(2).map(|(found, expected)| f64::from(found - expected).powi(2)).sum::<f64>()
    };
    let (plain, weighted) = (error_of_even_columns(None), error_of_even_columns(importance));
    assert!(weighted < 0.9 * plain, "{weighted} is not less than {plain}");
}

#[test]
fn an_importance_of_another_kind_or_model_is_refused() {
    let source = Source::new();
    let path = source.0.path().join("importance.gguf");
    assert!(Importance::read(&source.path()).unwrap_err().to_string().contains("no importance matrix"));
    for (name, sums) in [("blk.2.ffn_up.weight", &[1.0; 64][..]), ("blk.99.ffn_up.weight", &[1.0; 96])] {
        write_importance(&path, name, sums, 1.0);
        let importance = Some(Importance::read(&path).unwrap());
        let error = source.quantize(&QuantizeOptions { importance, ..options(Mix::Q4_0) }).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("another model"), "{error}");
    }
    write_importance(&path, "x", &[f32::NAN; 32], 1.0);
    assert!(Importance::read(&path).unwrap_err().to_string().contains("NaN"));
}

fn write_importance(path: &Path, name: &str, sums: &[f32], count: f32) {
    let mut writer = Writer::new();
    writer.add("general.type", "imatrix").unwrap();
    writer.add_tensor(&format!("{name}.in_sum2"), TensorType::F32, &[sums.len() as u64, 1]).unwrap();
    writer.add_tensor(&format!("{name}.counts"), TensorType::F32, &[1, 1]).unwrap();
    let mut data = writer.begin(fs::File::create(path).unwrap()).unwrap();
    let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    data.write(&format!("{name}.in_sum2"), &bytes).unwrap();
    data.write(&format!("{name}.counts"), &count.to_le_bytes()).unwrap();
    data.finish().unwrap();
}

fn values(gguf: &Gguf, name: &str) -> Vec<f32> {
    let tensor = gguf.tensor(name).unwrap();
    let mut values = vec![0.0; tensor.n_elements()];
    dequantize(Format::from_ggml_id(tensor.ty().id()).unwrap(), &gguf.data(tensor), &mut values).unwrap();
    values
}
