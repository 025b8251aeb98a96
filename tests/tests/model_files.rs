//! Model files that are whole as GGUF and wrong as models: each is refused with an error that names what is wrong.

use std::collections::BTreeMap;

use silhak::gguf::{Array, Value};
use silhak::{ModelFile, RecommendedSampling, SamplingOptions};
use silhak_ops::{Op, Pairing, Rope, RopeScaling, RopeTable};
use silhak_quant::Format;
use silhak_tests::tiny::{Tensor, Tiny};

type Metadata = BTreeMap<String, Value>;

/// Opens an edited model.
fn open(
    architecture: &'static str,
    edit: impl FnOnce(&mut Metadata, &mut Vec<Tensor>),
) -> Result<ModelFile, silhak::Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edited.gguf");
    Tiny::new(architecture).write_edited(&path, edit).unwrap();
    ModelFile::open(&path)
}

/// The error of opening an edited model.
fn refusal(architecture: &'static str, edit: impl FnOnce(&mut Metadata, &mut Vec<Tensor>)) -> String {
    open(architecture, edit).map(drop).expect_err("the file is broken").to_string()
}

fn assert_names(error: &str, words: &[&str]) {
    assert!(words.iter().all(|word| error.contains(word)), "{error:?} does not name all of {words:?}");
}

#[test]
fn whole_models_open() {
    let folder = tempfile::tempdir().unwrap();
    for architecture in silhak::architectures() {
        let path = folder.path().join("whole.gguf");
        Tiny::new(architecture).write(&path).unwrap();
        ModelFile::open(&path).unwrap();
    }
}

#[test]
fn an_unknown_architecture_is_named_with_the_known_ones() {
    let error = refusal("llama", |metadata, _| drop(metadata.insert("general.architecture".into(), "mamba7".into())));
    assert_names(&error, &["mamba7", "llama", "qwen2", "gemma3"]);
}

#[test]
fn a_missing_tensor_is_named() {
    let error = refusal("llama", |_, tensors| tensors.retain(|t| t.name != "blk.1.ffn_up.weight"));
    assert_names(&error, &["blk.1.ffn_up.weight", "missing"]);
}

#[test]
fn a_wrong_shape_is_named_with_both_shapes() {
    let widen = |tensors: &mut Vec<Tensor>| {
        tensors.iter_mut().filter(|t| t.name == "blk.2.attn_k.weight").for_each(|t| t.rows = 65);
    };
    let error = refusal("qwen2", |_, tensors| widen(tensors));
    assert_names(&error, &["blk.2.attn_k.weight", "64, 64", "64, 65"]);
}

#[test]
fn missing_metadata_is_named() {
    let error = refusal("gemma3", |metadata, _| drop(metadata.remove("gemma3.attention.head_count")));
    assert_names(&error, &["gemma3.attention.head_count"]);
}

/// Each of these would divide by zero, overflow or allocate without end if it were believed.
#[test]
fn impossible_sizes_are_named() {
    for (key, value) in [
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count_kv", 0),
        ("llama.attention.head_count_kv", 3),
        ("llama.attention.key_length", 0),
        ("llama.attention.value_length", 16),
        ("llama.block_count", 0),
        ("llama.block_count", u32::MAX),
        ("llama.embedding_length", u32::MAX),
        ("llama.feed_forward_length", 0),
        ("llama.context_length", 0),
    ] {
        let error = refusal("llama", |metadata, _| drop(metadata.insert(key.into(), Value::U32(value))));
        assert_names(&error, &[key]);
    }
}

#[test]
fn experts_are_refused_by_name() {
    let error = refusal("llama", |metadata, _| drop(metadata.insert("llama.expert_count".into(), Value::U32(8))));
    assert_names(&error, &["8 experts", "llama"]);
}

#[test]
fn an_unknown_rope_scaling_is_refused_by_name() {
    let error =
        refusal("qwen2", |metadata, _| drop(metadata.insert("qwen2.rope.scaling.type".into(), "spiral".into())));
    assert_names(&error, &["qwen2.rope.scaling.type", "spiral", "yarn"]);
}

/// The rotary embedding of each rope op in the plan of a model with some more metadata: K and Q of each layer.
fn ropes(architecture: &'static str, metadata: &[(&str, Value)]) -> Vec<Rope> {
    let file = open(architecture, |whole, _| {
        whole.extend(metadata.iter().map(|(key, value)| (format!("{architecture}.rope.{key}"), value.clone())));
    });
    let rope = |op: &Op| if let Op::Rope { rope, .. } = op { Some(*rope) } else { None };
    file.unwrap().model().plan().ops().iter().filter_map(rope).collect()
}

const LINEAR_4: RopeScaling = RopeScaling::Linear { factor: 4.0 };

#[test]
fn the_rope_is_the_one_that_the_metadata_asks_for() {
    let four = || Value::F32(4.0);
    let yarn = |original_ctx, beta_fast, beta_slow, attention_factor| RopeScaling::Yarn {
        factor: 4.0,
        original_ctx,
        beta_fast,
        beta_slow,
        attention_factor,
    };
    let cases: &[(&[(&str, Value)], RopeScaling)] = &[
        (&[], RopeScaling::None),
        (&[("scaling.type", "none".into()), ("scaling.factor", four())], RopeScaling::None),
        (&[("scaling.type", "linear".into()), ("scaling.factor", four())], LINEAR_4),
        (&[("scaling.type", "linear".into())], RopeScaling::None),
        (&[("scaling.factor", four())], LINEAR_4),
        (&[("scaling.factor", Value::F32(1.0))], RopeScaling::None),
        (&[("scaling.factor", Value::F32(0.0)), ("scale_linear", four())], RopeScaling::None),
        (&[("scale_linear", four())], LINEAR_4),
        (&[("scaling.type", "linear".into()), ("scale_linear", four())], LINEAR_4),
        (&[("scaling.type", "yarn".into()), ("scaling.factor", four())], yarn(512, 32.0, 1.0, 1.0)),
        (
            &[
                ("scaling.type", "yarn".into()),
                ("scaling.factor", four()),
                ("scaling.original_context_length", Value::U32(128)),
                ("scaling.yarn_beta_fast", Value::F32(16.0)),
                ("scaling.yarn_beta_slow", Value::F32(2.0)),
                ("scaling.attn_factor", Value::F32(0.5)),
            ],
            yarn(128, 16.0, 2.0, 0.5),
        ),
    ];
    for (metadata, scaling) in cases {
        for (architecture, pairing) in [("llama", Pairing::Adjacent), ("qwen2", Pairing::Halves)] {
            let expected = Rope { n_rot: 32, pairing, base: 10_000.0, scaling: *scaling, factors: None };
            assert_eq!(ropes(architecture, metadata), [expected; 6], "{architecture} with {metadata:?}");
        }
    }
    let partial = ropes("llama", &[("dimension_count", Value::U32(20)), ("freq_base", Value::F32(5e5))]);
    assert!(partial.iter().all(|rope| (rope.n_rot, rope.base) == (20, 5e5)), "{partial:?}");
}

/// Gemma 3 scales its global layers, every sixth, and gives the local ones a base of their own.
#[test]
fn local_layers_have_a_rope_of_their_own() {
    let scaled = [("freq_base", Value::F32(1e6)), ("scaling.factor", Value::F32(4.0))];
    let own_base = [&scaled[..], &[("freq_base_swa", Value::F32(2e4))]].concat();
    for (metadata, local_base) in [(&scaled[..], 1e4), (&own_base, 2e4)] {
        let local =
            Rope { n_rot: 32, pairing: Pairing::Halves, base: local_base, scaling: RopeScaling::None, factors: None };
        let global = Rope { base: 1e6, scaling: LINEAR_4, ..local };
        let expected: Vec<_> = (0..7).flat_map(|layer| [if layer == 5 { global } else { local }; 2]).collect();
        assert_eq!(ropes("gemma3", metadata), expected);
    }
}

/// A layer's sliding window, and whether RoPE turns its queries.
type Layer = (Option<usize>, bool);

fn layers(file: &ModelFile) -> Vec<Layer> {
    let plan = file.model().plan();
    let mut turned = false;
    let mut layers = Vec::new();
    for op in plan.ops() {
        match op {
            Op::Rope { .. } => turned = true,
            Op::Attention { layer, .. } => {
                layers.push((plan.kv_layer(*layer).window, turned));
                turned = false;
            }
            _ => {}
        }
    }
    layers
}

const LOCAL: Layer = (Some(24), true);
const GLOBAL: Layer = (None, false);

/// Whatever way the file says it, and in files whose last block predicts several tokens at once (EXAONE 4.5 has 65 blocks).
#[test]
fn exaone_4_has_its_window_and_no_positions_in_global_layers() {
    const PATTERN: &str = "exaone4.attention.sliding_window_pattern";
    let every_fourth = [LOCAL, LOCAL, LOCAL, GLOBAL, LOCAL];
    let flags = |flags: &[bool]| Value::Array(Array::Bool(flags.to_vec()));
    let cases: &[(Option<Value>, &[Layer])] = &[
        (None, &every_fourth),
        (Some(Value::U32(4)), &every_fourth),
        (Some(Value::U32(2)), &[LOCAL, GLOBAL, LOCAL, GLOBAL, LOCAL]),
        (Some(flags(&[true, true, true, false, true])), &every_fourth),
        (Some(flags(&[false, true, false, true, true])), &[GLOBAL, LOCAL, GLOBAL, LOCAL, LOCAL]),
    ];
    for (pattern, expected) in cases {
        let set = |metadata: &mut Metadata| match pattern {
            Some(pattern) => drop(metadata.insert(PATTERN.into(), pattern.clone())),
            None => drop(metadata.remove(PATTERN)),
        };
        let file = open("exaone4", |metadata, _| set(metadata)).unwrap();
        assert_eq!(layers(&file), *expected, "{pattern:?}");
        let n_flags = if let Some(Value::Array(flags)) = pattern { Some(flags.len()) } else { None };
        let file = open("exaone4", |metadata, _| {
            set(metadata);
            metadata.insert("exaone4.block_count".into(), Value::U32(6));
            metadata.insert("exaone4.nextn_predict_layers".into(), Value::U32(1));
            if n_flags.is_some()
                && let Some(Value::Array(Array::Bool(flags))) = metadata.get_mut(PATTERN)
            {
                flags.push(false);
            }
        })
        .unwrap();
        assert_eq!(layers(&file), *expected, "{pattern:?} and a block that is not used");
    }
    let file = open("exaone4", |metadata, _| drop(metadata.remove("exaone4.attention.sliding_window"))).unwrap();
    assert_eq!(layers(&file), [(None, true); 5], "the 1.2B has no window, and positions everywhere");
}

#[test]
fn an_impossible_pattern_is_named() {
    const PATTERN: &str = "exaone4.attention.sliding_window_pattern";
    for pattern in [Value::U32(0), Value::Array(Array::Bool(vec![true; 4])), "LLLG".into()] {
        let error = refusal("exaone4", |metadata, _| drop(metadata.insert(PATTERN.into(), pattern)));
        assert_names(&error, &[PATTERN]);
    }
    let key = "exaone4.nextn_predict_layers";
    let error = refusal("exaone4", |metadata, _| drop(metadata.insert(key.into(), Value::U32(5))));
    assert_names(&error, &[key, "0 to 4"]);
}

#[test]
fn solar_blends_only_what_is_kept() {
    let key = "solar.attention.block_skip_connection.0";
    let nothing = Value::Array(Array::U32(vec![0; 7]));
    let error = refusal("solar", |metadata, _| drop(metadata.insert(key.into(), nothing)));
    assert_names(&error, &["solar.attention.block_skip_connection.2", "layer 2"]);
    let error = refusal("solar", |_, tensors| tensors.retain(|t| t.name != "bskcn_tv.weight"));
    assert_names(&error, &["bskcn_tv.weight", "missing"]);
}

/// NAVER's files name the epsilon as LayerNorm's is named, and have no residual scale where it is 1.
#[test]
fn hyperclovax_reads_the_names_of_its_maker() {
    for architecture in ["hyperclovax", "hcx-seed-think"] {
        let key = |name: &str| format!("{architecture}.{name}");
        let scales = |remove: &[&str]| {
            let file = open(architecture, |metadata, _| {
                let eps = metadata.remove(&key("attention.layer_norm_rms_epsilon")).unwrap();
                metadata.insert(key("attention.layer_norm_epsilon"), eps);
                remove.iter().for_each(|name| drop(metadata.remove(&key(name))));
            });
            let file = file.unwrap();
            assert_eq!(file.model().hyper_params().rms_eps, 1e-5);
            let scale = |op: &Op| if let Op::Scale { factor, .. } = op { Some(*factor) } else { None };
            file.model().plan().ops().iter().filter_map(scale).collect::<Vec<_>>()
        };
        assert_eq!(scales(&[]), [&[3.0][..], &[0.75; 6], &[0.5]].concat());
        assert_eq!(scales(&["residual_scale"]), [3.0, 0.5]);
        assert!(scales(&["residual_scale", "embedding_scale", "logit_scale"]).is_empty());
    }
}

/// The angles per position, worked out here by hand: `10000^(-2i / 8)` is 1, 0.1, 0.01, 0.001.
#[test]
fn the_frequencies_are_those_of_the_papers() {
    let rope = |scaling| Rope { n_rot: 8, pairing: Pairing::Halves, base: 10_000.0, scaling, factors: None };
    // With 2048 positions, pair `i` turns 326 / 10^i times: from 32 turns down to 1 the ramp goes over pairs 1 to 3.
    let yarn =
        RopeScaling::Yarn { factor: 4.0, original_ctx: 2048, beta_fast: 32.0, beta_slow: 1.0, attention_factor: 1.0 };
    for (scaling, expected, magnitude) in [
        (RopeScaling::None, [1.0, 0.1, 0.01, 0.001], 1.0),
        (LINEAR_4, [0.25, 0.025, 0.0025, 0.00025], 1.0),
        (yarn, [1.0, 0.1, 0.01 * (0.5 + 0.5 / 4.0), 0.00025], 1.0 + 0.1 * 4f32.ln()),
    ] {
        let table = RopeTable::new(&rope(scaling), None);
        let near = table.frequencies.iter().zip(expected).all(|(found, e)| (found / e - 1.0).abs() < 1e-6);
        assert!(near && table.magnitude == magnitude, "{scaling:?}: {table:?}");
    }
}

#[test]
fn rope_factors_are_read_from_the_file() {
    let file = open("llama", |_, tensors| {
        tensors.push(Tensor {
            name: "rope_freqs.weight".into(),
            format: Format::F32,
            rows: 1,
            cols: 16,
            n_matrices: 1,
        });
    })
    .unwrap();
    let (plan, weights) = (file.model().plan(), file.model().weights());
    let ropes: Vec<_> =
        plan.ops().iter().filter_map(|op| if let Op::Rope { rope, .. } = op { Some(rope) } else { None }).collect();
    assert_eq!(ropes.len(), 6);
    for rope in ropes {
        let id = rope.factors.unwrap();
        assert_eq!(plan.weight(id).name, "rope_freqs.weight");
        let factors: Vec<f32> =
            weights[id.index()].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let expected: Vec<f32> = (0..16).map(|i| 1.0 + 7.0 * i as f32 / 15.0).collect();
        assert_eq!(factors, expected);
        let plain = RopeTable::new(&Rope { factors: None, ..*rope }, None).frequencies;
        let table = RopeTable::new(rope, Some(&factors));
        for ((found, plain), factor) in table.frequencies.iter().zip(plain).zip(expected) {
            assert!((found * factor / plain - 1.0).abs() < 1e-6, "{table:?}");
        }
    }
    let error = refusal("llama", |_, tensors| {
        tensors.push(Tensor {
            name: "rope_freqs.weight".into(),
            format: Format::F32,
            rows: 1,
            cols: 32,
            n_matrices: 1,
        });
    });
    assert_names(&error, &["rope_freqs.weight", "16", "32"]);
}

#[test]
fn an_impossible_rope_factor_is_named() {
    for key in ["llama.rope.scaling.factor", "llama.rope.scale_linear"] {
        for factor in [-1.0, f32::NAN, f32::INFINITY] {
            let error = refusal("llama", |metadata, _| drop(metadata.insert(key.into(), Value::F32(factor))));
            assert_names(&error, &[key, &factor.to_string(), "positive"]);
        }
    }
}

#[test]
fn experts_and_latents_of_other_kinds_and_sizes_are_refused() {
    let with = |architecture, key: &'static str, n: u32| {
        refusal(architecture, |metadata, _| drop(metadata.insert(format!("{architecture}.{key}"), Value::U32(n))))
    };
    assert_names(&with("glm4moe", "expert_gating_func", 1), &["glm4moe.expert_gating_func", "sigmoid", "1"]);
    assert_names(&with("glm4moe", "expert_count", 4), &["blk.1.ffn_gate_inp.weight", "64, 4", "64, 3"]);
    assert_names(&with("exaone-moe", "expert_used_count", 4), &["route", "3", "4"]);
    assert_names(&with("axk1", "expert_group_count", 2), &["axk1.expert_group_count", "3", "2"]);
    assert_names(&with("axk1", "attention.kv_lora_rank", 60), &["axk1.attention.key_length", "76", "80"]);
    assert_names(&with("vaetki", "attention.key_length_mla", 16), &["vaetki.attention.key_length_mla", "16"]);
    // As many rows in all, in other matrices.
    let error = refusal("vaetki", |_, tensors| {
        tensors.iter_mut().filter(|t| t.name == "blk.0.attn_k_b.weight").for_each(|t| t.n_matrices = 2);
    });
    assert_names(&error, &["blk.0.attn_k_b.weight", "32, 64, 4", "32, 128, 2"]);
}

#[test]
fn sampling_is_recommended_by_the_file_or_by_the_model_card() {
    let recommended = |architecture, edit: &dyn Fn(&mut Metadata)| {
        RecommendedSampling::of(open(architecture, |metadata, _| edit(metadata)).unwrap().gguf().metadata())
    };
    let exaone = recommended("exaone4", &|_| ());
    assert_eq!((exaone.temperature, exaone.top_p, exaone.top_k), (Some(0.6), Some(0.95), None));
    assert_eq!(exaone.options().temperature, 0.6);
    let in_file = |t: f32| {
        move |metadata: &mut Metadata| {
            metadata.insert("general.sampling.temp".into(), Value::F32(t));
            metadata.insert("general.sampling.top_k".into(), Value::I32(-1));
        }
    };
    let colder = recommended("exaone4", &in_file(0.3));
    assert_eq!((colder.temperature, colder.top_p, colder.top_k), (Some(0.3), None, None));
    // Numbers without sense, and nobody who says anything.
    assert_eq!(recommended("llama", &in_file(-1.0)), RecommendedSampling::default());
    assert_eq!(recommended("llama", &|_| ()).options(), SamplingOptions::default());
}
