//! What is written, what an interruption leaves, and what is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::{convert_all, copy, fixture};
use safetensors::{SafeTensors, serialize_to_file};
use serde_json::{Value as Json, json};
use silhak_convert::{Error, Mix, Options, convert};
use silhak_gguf::{Gguf, Value};
use tempfile::TempDir;

const NAME: &str = "exaone4.random1";

fn target(folder: &TempDir) -> PathBuf {
    folder.path().join("model.gguf")
}

fn bytes(folder: &Path, options: &Options) -> Vec<u8> {
    let out = tempfile::tempdir().unwrap();
    let report = convert_all(folder, &target(&out), options).unwrap();
    let bytes = fs::read(target(&out)).unwrap();
    assert_eq!(report.bytes, bytes.len() as u64);
    bytes
}

#[test]
fn threads_do_not_change_the_file() {
    let with = |threads| bytes(&fixture("exaone4"), &Options { threads: NonZero::new(threads), ..Options::default() });
    let one = with(1);
    assert!(one == with(2) && one == with(7));
}

#[test]
fn the_metadata_is_that_of_the_configuration() {
    let out = tempfile::tempdir().unwrap();
    convert_all(&fixture(NAME), &target(&out), &Options::default()).unwrap();
    let file = Gguf::open(&target(&out)).unwrap();
    let metadata = file.metadata();
    assert_eq!(metadata.str("general.architecture").unwrap(), "exaone4");
    assert_eq!(metadata.u32("general.file_type").unwrap(), Mix::Bf16.file_type());
    for (key, expected) in
        [("block_count", 6), ("attention.sliding_window", 24), ("attention.key_length", 16), ("vocab_size", 300)]
    {
        assert_eq!(metadata.u32(&format!("exaone4.{key}")).unwrap(), expected, "{key}");
    }
    let pattern = metadata.bool_array("exaone4.attention.sliding_window_pattern").unwrap();
    assert_eq!(pattern, [true, true, true, false, true, true]);
    assert_eq!(metadata.str("tokenizer.ggml.pre").unwrap(), "gpt-2");
    assert_eq!(metadata.str_array("tokenizer.ggml.tokens").unwrap().len(), 300);
    assert!(metadata.str("tokenizer.chat_template").unwrap().contains("[|endofturn|]"));
    assert!(metadata.get("exaone4.rope.scaling.type").is_none(), "its scaling is in rope_freqs");
    assert_eq!(metadata.get("exaone4.attention.layer_norm_rms_epsilon"), Some(&Value::F32(1e-5)));
}

/// Every form in which makers wrote which layers are local.
#[test]
fn windows_are_read_in_every_form() {
    let expected = [true, true, true, false, true, true];
    for pattern in [json!("LLLG"), json!(4)] {
        let folder = copy(NAME);
        edit(folder.path(), "config.json", |config| {
            config.remove("layer_types");
            config.insert("sliding_window_pattern".into(), pattern.clone());
        });
        let out = tempfile::tempdir().unwrap();
        convert_all(folder.path(), &target(&out), &Options::default()).unwrap();
        let file = Gguf::open(&target(&out)).unwrap();
        let found = file.metadata().bool_array("exaone4.attention.sliding_window_pattern").unwrap();
        assert_eq!(found, expected, "{pattern}");
    }
    let folder = copy(NAME);
    edit(folder.path(), "config.json", |config| drop(config.insert("layer_types".into(), json!(["full_attention"]))));
    assert_names(&refusal(folder.path()), &["layer_types", "6 of"]);
}

#[test]
fn a_checkpoint_in_several_files_gives_the_same_file() {
    let folder = copy(NAME);
    let whole = bytes(folder.path(), &Options::default());
    let single = folder.path().join("model.safetensors");
    let data = fs::read(&single).unwrap();
    let tensors = SafeTensors::deserialize(&data).unwrap().tensors();
    let mut weight_map = BTreeMap::new();
    let (first, second) = tensors.split_at(tensors.len() / 2);
    for (file, part) in [("model-00001-of-00002.safetensors", first), ("model-00002-of-00002.safetensors", second)] {
        weight_map.extend(part.iter().map(|(name, _)| (name.clone(), file)));
        serialize_to_file(part.iter().map(|(name, view)| (name.as_str(), view)), None, &folder.path().join(file))
            .unwrap();
    }
    fs::remove_file(single).unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(&index, json!({ "weight_map": weight_map }).to_string()).unwrap();
    assert!(bytes(folder.path(), &Options::default()) == whole);

    fs::write(index, json!({ "weight_map": { "x": "../elsewhere.safetensors" } }).to_string()).unwrap();
    assert_names(&refusal(folder.path()), &["weight_map"]);
}

/// Where writing stopped, in the middle of a tensor or anywhere else, it goes on; and not where the source is another.
#[test]
fn an_interrupted_conversion_goes_on() {
    let source = fixture("exaone4");
    let whole = bytes(&source, &Options::default());
    for stop_after in [1, 5, 20, 60] {
        let out = tempfile::tempdir().unwrap();
        let mut heard = 0;
        let stopped = convert(&source, &target(&out), &Options::default(), &mut |_| {
            heard += 1;
            if heard == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert!(!target(&out).exists());
        // Other formats are another file.
        let other = Options { mix: Some(Mix::F16), ..Options::default() };
        if stop_after == 5 {
            assert_eq!(convert_all(&source, &target(&out), &other).unwrap().n_resumed, 0);
            assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "nothing else is left");
            continue;
        }
        // The last tensor is not whole.
        let part = fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
        let file = fs::File::options().write(true).open(part).unwrap();
        file.set_len(file.metadata().unwrap().len() - 3).unwrap();
        let report = convert_all(&source, &target(&out), &Options::default()).unwrap();
        assert_eq!(report.n_resumed, stop_after - 1, "each of these tensors is one chunk");
        assert!(fs::read(target(&out)).unwrap() == whole);
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "nothing else is left");
    }
}

#[test]
fn what_sees_is_left_out_and_what_is_unknown_is_refused() {
    let with = |name: &str| {
        let folder = copy(NAME);
        edit_tensors(folder.path(), |tensors| {
            let norm = tensors["model.norm.weight"].clone();
            tensors.insert(name.to_owned(), norm);
        });
        folder
    };
    let folder = with("model.visual.blocks.0.norm.weight");
    let out = tempfile::tempdir().unwrap();
    let report = convert_all(folder.path(), &target(&out), &Options::default()).unwrap();
    assert_eq!(report.left_out, ["model.visual.blocks.0.norm.weight"]);
    let error = refusal(with("model.layers.0.self_attn.sinks").path());
    assert_names(&error, &["model.layers.0.self_attn.sinks", "Exaone4ForCausalLM"]);
}

/// A model that also sees has its text's part inside, in `config.json` and in the names of tensors.
#[test]
fn the_text_part_of_a_larger_model_is_found() {
    let folder = copy(NAME);
    edit(folder.path(), "config.json", |config| {
        let text = Json::Object(config.clone());
        config.clear();
        config.insert("architectures".into(), json!(["Exaone4_5_ForConditionalGeneration"]));
        config.insert("tie_word_embeddings".into(), json!(false));
        config.insert("text_config".into(), text);
    });
    edit_tensors(folder.path(), |tensors| {
        let inside = |(name, tensor): (String, Tensor)| {
            (name.strip_prefix("model.").map_or(name.clone(), |name| format!("model.language_model.{name}")), tensor)
        };
        *tensors = std::mem::take(tensors).into_iter().map(inside).collect();
    });
    assert_same_tensors(bytes(folder.path(), &Options::default()), bytes(&fixture(NAME), &Options::default()));
}

fn assert_same_tensors(found: Vec<u8>, expected: Vec<u8>) {
    let (found, expected) = (Gguf::parse(found.into()).unwrap(), Gguf::parse(expected.into()).unwrap());
    assert_eq!(found.tensors().len(), expected.tensors().len());
    for (found_tensor, tensor) in found.tensors().iter().zip(expected.tensors()) {
        assert_eq!((found_tensor.name(), found.data(found_tensor)), (tensor.name(), expected.data(tensor)));
    }
}

/// From the shape of a matrix to that of its scales.
type ScalesShape = fn(&[usize]) -> Vec<usize>;

/// 8-bit floats with a scale for all, for each row and for each block are the floats that they stand for.
#[test]
fn floats_of_8_bits_are_scaled() {
    const BLOCK: [usize; 2] = [24, 10];
    let options = Options { mix: Some(Mix::F32), ..Options::default() };
    let is_scaled = |name: &str| name.contains("_proj.weight");
    let kinds: [ScalesShape; 3] =
        [|_| vec![], |shape| vec![shape[0], 1], |shape| vec![shape[0].div_ceil(BLOCK[0]), shape[1].div_ceil(BLOCK[1])]];
    for (kind, end) in kinds.into_iter().zip(["weight_scale", "weight_scale", "weight_scale_inv"]) {
        let (scaled, plain) = (copy(NAME), copy(NAME));
        set(scaled.path(), "quantization_config", json!({ "quant_method": "fp8", "weight_block_size": BLOCK }));
        edit_tensors(plain.path(), |tensors| {
            for (_, tensor) in tensors.iter_mut().filter(|(name, _)| is_scaled(name)) {
                let (shape, scales) = (tensor.shape.clone(), kind(&tensor.shape));
                let (height, width) = match *scales {
                    [] => (shape[0], shape[1]),
                    [_, 1] => (1, shape[1]),
                    _ => BLOCK.into(),
                };
                let per_row = shape[1].div_ceil(width);
                let value = |i: usize| {
                    let (row, col) = (i / shape[1], i % shape[1]);
                    e4m3(fp8_byte(i)) * fp8_scale(row / height * per_row + col / width)
                };
                let n = shape[0] * shape[1];
                tensor.data = (0..n).flat_map(|i| value(i).to_le_bytes()).collect();
                tensor.dtype = safetensors::Dtype::F32;
            }
        });
        edit_tensors(scaled.path(), |tensors| {
            let names: Vec<String> = tensors.keys().filter(|name| is_scaled(name)).cloned().collect();
            for name in names {
                let tensor = tensors.get_mut(&name).unwrap();
                let n = tensor.shape[0] * tensor.shape[1];
                (tensor.dtype, tensor.data) = (safetensors::Dtype::F8_E4M3, (0..n).map(fp8_byte).collect());
                let shape = kind(&tensor.shape);
                let data = (0..shape.iter().product()).flat_map(|i| fp8_scale(i).to_le_bytes()).collect();
                let scales = Tensor { dtype: safetensors::Dtype::F32, shape, data };
                let module = name.strip_suffix("weight").unwrap();
                tensors.insert(format!("{module}input_scale"), scales.first());
                tensors.insert(format!("{module}{end}"), scales);
            }
        });
        assert_same_tensors(bytes(scaled.path(), &options), bytes(plain.path(), &options));

        edit_tensors(scaled.path(), |tensors| {
            let (_, scales) = tensors.iter_mut().find(|(name, _)| name.ends_with(end)).unwrap();
            scales.shape = vec![2, 1];
            scales.data = vec![0; 8];
        });
        assert_names(&refusal(scaled.path()), &["weight_block_size", "[2, 1]"]);
    }
}

/// Any byte but the two that are not numbers.
fn fp8_byte(i: usize) -> u8 {
    let byte = (i * 37 + 11) as u8;
    if byte & 0x7f == 0x7f { 0 } else { byte }
}

fn fp8_scale(i: usize) -> f32 {
    1.5 / (1 << (i % 5)) as f32
}

fn e4m3(byte: u8) -> f32 {
    let (sign, exponent, mantissa) = (byte >> 7, i32::from(byte >> 3 & 15), f32::from(byte & 7) / 8.0);
    let magnitude = if exponent == 0 { mantissa / 64.0 } else { (1.0 + mantissa) * 2f32.powi(exponent - 7) };
    if sign == 0 { magnitude } else { -magnitude }
}

/// Another run would fail at the same value: nothing is kept for it.
#[test]
fn a_value_that_a_format_cannot_hold_leaves_nothing() {
    let folder = copy(NAME);
    edit_tensors(folder.path(), |tensors| {
        let tensor = tensors.get_mut("model.layers.3.mlp.down_proj.weight").unwrap();
        tensor.data[..2].copy_from_slice(&0x7f80u16.to_le_bytes());
    });
    let out = tempfile::tempdir().unwrap();
    let options = Options { mix: Some(Mix::Q8_0), ..Options::default() };
    let error = convert_all(folder.path(), &target(&out), &options).unwrap_err();
    assert!(matches!(&error, Error::Quantize { name, .. } if name == "blk.3.ffn_down.weight"), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

/// Breaks a folder.
type Break = fn(&Path);

#[test]
fn what_is_wrong_is_named() {
    let cases: [(Break, &[&str]); 9] = [
        (|folder| fs::remove_file(folder.join("config.json")).unwrap(), &["config.json"]),
        (|folder| fs::write(folder.join("config.json"), "[1]").unwrap(), &["config.json", "download"]),
        (|folder| fs::remove_file(folder.join("model.safetensors")).unwrap(), &["no weights", "index.json"]),
        (cut_off, &["model.safetensors", "download"]),
        (|folder| set(folder, "architectures", json!(["MambaForCausalLM"])), &["MambaForCausalLM", "LlamaForCausalLM"]),
        (|folder| set(folder, "num_hidden_layers", json!(7)), &["model.layers.6.self_attn.q_proj.weight", "missing"]),
        (|folder| set(folder, "num_hidden_layers", json!(-1)), &["num_hidden_layers", "-1"]),
        (|folder| set(folder, "partial_rotary_factor", json!(0.5)), &["partial_rotary_factor", "0.5"]),
        (|folder| fs::remove_file(folder.join("tokenizer.json")).unwrap(), &["tokenizer.json"]),
    ];
    for (break_it, words) in cases {
        let folder = copy(NAME);
        // A layer too many or too few says so by the layers' kinds first.
        edit(folder.path(), "config.json", |config| {
            config.remove("layer_types");
            config.insert("sliding_window_pattern".into(), json!(4));
        });
        break_it(folder.path());
        assert_names(&refusal(folder.path()), words);
    }
}

#[test]
fn rules_without_a_name_are_refused_unless_named() {
    let folder = copy(NAME);
    edit(folder.path(), "tokenizer.json", |json| {
        json.insert("pre_tokenizer".into(), json!({ "type": "Whitespace" }));
    });
    assert_names(&refusal(folder.path()), &["Whitespace", "--pre"]);
    let named = Options { pre: Some("qwen2".into()), ..Options::default() };
    let file = Gguf::parse(bytes(folder.path(), &named).into()).unwrap();
    assert_eq!(file.metadata().str("tokenizer.ggml.pre").unwrap(), "qwen2");
}

/// The error of converting, after which nothing is left.
fn refusal(folder: &Path) -> String {
    let out = tempfile::tempdir().unwrap();
    let error = convert_all(folder, &target(&out), &Options::default()).expect_err("the folder is broken");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{error}");
    error.to_string()
}

fn assert_names(error: &str, words: &[&str]) {
    assert!(words.iter().all(|word| error.contains(word)), "{error:?} does not name all of {words:?}");
}

fn edit(folder: &Path, name: &str, change: impl FnOnce(&mut serde_json::Map<String, Json>)) {
    let path = folder.join(name);
    let mut json: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(json.as_object_mut().unwrap());
    fs::write(path, json.to_string()).unwrap();
}

#[derive(Clone)]
struct Tensor {
    dtype: safetensors::Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Tensor {
    /// Its first value alone, of four bytes.
    fn first(&self) -> Tensor {
        Tensor { dtype: self.dtype, shape: vec![], data: self.data[..4].to_vec() }
    }
}

impl safetensors::View for &Tensor {
    fn dtype(&self) -> safetensors::Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        (&*self.data).into()
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

fn edit_tensors(folder: &Path, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let own = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        (name, Tensor { dtype: view.dtype(), shape: view.shape().to_vec(), data: view.data().to_vec() })
    };
    let mut tensors = SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter().map(own).collect();
    change(&mut tensors);
    serialize_to_file(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), None, &path).unwrap();
}

fn set(folder: &Path, key: &str, value: Json) {
    edit(folder, "config.json", |config| drop(config.insert(key.into(), value)));
}

fn cut_off(folder: &Path) {
    let path = folder.join("model.safetensors");
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 2).unwrap();
}
