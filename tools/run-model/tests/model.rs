//! What `inspect`, `show`, `fit` and `doctor` tell of a tiny model and of this machine.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use silhak_tests::tiny::Tiny;
use support::Home;

/// A home with a tiny model, and the model's path.
fn home() -> (Home, String) {
    let home = Home::new();
    let path = home.folder.path().join("tiny.gguf");
    Tiny::new("gemma3").write(&path).unwrap();
    (home, path.into_os_string().into_string().unwrap())
}

#[test]
fn inspect_lists_metadata_and_tensors() {
    let (home, model) = home();
    let json = home.json(&["inspect", &model, "--json"]);
    assert_eq!((&json["version"], &json["n_shards"]), (&3.into(), &1.into()));
    assert_eq!(json["metadata"]["general.architecture"], "gemma3");
    assert_eq!(json["metadata"]["gemma3.block_count"], 7);
    let eps = json["metadata"]["gemma3.attention.layer_norm_rms_epsilon"].as_f64().unwrap();
    assert!((eps - 1e-5).abs() < 1e-12);
    assert!(json["metadata"]["tokenizer.ggml.tokens"].as_array().unwrap().len() > 256);
    let tensors = json["tensors"].as_array().unwrap();
    let q = tensors.iter().find(|tensor| tensor["name"] == "blk.0.attn_q.weight").unwrap();
    assert_eq!((&q["type"], &q["dims"]), (&"Q8_0".into(), &serde_json::json!([64, 128])));
    assert_eq!(q["bytes"], 64 / 32 * 34 * 128);
    let of_type = |name: &str| json["types"].as_array().unwrap().iter().find(|ty| ty["type"] == name).unwrap().clone();
    let n_tensors = ["Q8_0", "F32"].map(|name| of_type(name)["n_tensors"].as_u64().unwrap());
    assert_eq!(n_tensors.iter().sum::<u64>(), tensors.len() as u64);

    let text = home.ok(&["inspect", &model]).stdout;
    for word in ["METADATA", "gemma3.block_count", "TENSORS", "blk.6.ffn_down.weight", "64 x 128", "TYPES"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let plan = home.ok(&["inspect", &model, "--plan"]).stdout;
    assert!(plan.contains("attention") && plan.contains("blk.0.attn_q.weight:Q8_0"), "{plan}");
}

#[test]
fn show_tells_the_facts_of_the_file() {
    let (home, model) = home();
    let shown = home.json(&["show", &model, "--json"]);
    assert_eq!(shown["path"], model.as_str());
    let facts = &shown["model"];
    assert_eq!((&facts["architecture"], &facts["runs"]), (&"gemma3".into(), &true.into()));
    assert_eq!((&facts["context_length"], &facts["chat_template"]), (&512.into(), &true.into()));
    assert!(facts["parameters"].as_u64().unwrap() > 100_000);
    home.ok(&["import", &model, "--name", "mine"]);
    let text = home.ok(&["show", "mine"]).stdout;
    assert!(text.contains("mine") && text.contains("gemma3") && text.contains("Q8_0 9"), "{text}");
    assert!(home.ok(&["show", "mine", "--lang", "ko"]).stdout.contains("대화 틀"));
}

#[test]
fn fit_tells_what_fits() {
    let (home, model) = home();
    let fit = |more: &[&str]| home.json(&[&["fit", &model, "--device", "cpu", "--json"][..], more].concat());
    let roomy = fit(&["--memory", "1GB", "--ctx", "100"]);
    assert_eq!((&roomy["fits"], &roomy["n_ctx"], &roomy["largest_n_ctx"]), (&true.into(), &100.into(), &512.into()));
    let file = std::fs::metadata(&model).unwrap().len();
    let weights = roomy["weights_bytes"].as_u64().unwrap();
    assert!(weights > file / 2 && weights < 2 * file, "{weights} bytes of weights in a file of {file}");
    let part = |name: &str| roomy[name].as_u64().unwrap();
    assert_eq!((&roomy["shares"][0]["n_layers"], &roomy["shares"][0]["is_gpu"]), (&7.into(), &false.into()));
    assert_eq!(part("total_bytes"), part("weights_bytes") + part("kv_bytes") + part("scratch_bytes"));
    let kv_bytes = fit(&["--ctx", "100", "--kv", "q8_0"])["kv_bytes"].as_u64().unwrap();
    assert_eq!(kv_bytes * 64, part("kv_bytes") * 34);
    let tight = fit(&["--memory", &(part("total_bytes") - 1).to_string(), "--ctx", "100"]);
    assert_eq!(tight["fits"], false);
    assert!(tight["largest_n_ctx"].as_u64().unwrap() <= 100);
    let hopeless = fit(&["--memory", "1kB"]);
    assert_eq!((&hopeless["fits"], &hopeless["largest_n_ctx"]), (&false.into(), &0.into()));
    assert!(home.ok(&["fit", &model, "--memory", "1kB"]).stdout.contains("smaller quantization"));
    assert!(home.ok(&["fit", &model, "--memory", "1GB", "--lang", "ko"]).stdout.contains("들어갑니다"));
}

#[test]
fn doctor_tells_what_would_be_used() {
    let home = Home::new();
    let found = home.json(&["doctor", "--json"]);
    // Software is listed, but never used unasked.
    let gpus = found["gpus"].as_array().unwrap();
    let is_hardware = |gpu: &serde_json::Value| ["discrete", "integrated"].contains(&gpu["kind"].as_str().unwrap());
    let uses = gpus.iter().find(|gpu| is_hardware(gpu)).map_or(serde_json::Value::Null, |gpu| gpu["name"].clone());
    assert_eq!(found["uses"]["device"], if uses.is_null() { "cpu" } else { "gpu" });
    assert_eq!(found["uses"]["adapter"], uses);
    for gpu in gpus {
        assert!(gpu["max_binding_bytes"].as_u64().unwrap() > 0 && gpu["lacks"].is_array(), "{gpu}");
        assert_eq!(gpu["lacks"].as_array().unwrap().contains(&"hardware".into()), !is_hardware(gpu), "{gpu}");
    }
    assert_eq!(home.json(&["doctor", "--json", "--device", "cpu"])["uses"]["adapter"], serde_json::Value::Null);
    assert!(found["uses"]["threads"].as_u64().unwrap() >= 1);
    assert!(found["uses"]["isa"].as_str().unwrap().parse::<silhak::cpu::Isa>().is_ok());
    let forced = home.json(&["doctor", "--json", "--isa", "generic", "--threads", "3"]);
    assert_eq!((&forced["uses"]["isa"], &forced["uses"]["threads"]), (&"generic".into(), &3.into()));
    let text = home.ok(&["doctor"]).stdout;
    assert!(text.contains(home.store.to_str().unwrap()), "{text}");
    let korean = home.ok(&["doctor", "--lang", "ko"]).stdout;
    match gpus.first() {
        None => assert!(text.contains("none was found") && korean.contains("찾지 못함"), "{text}{korean}"),
        Some(gpu) => {
            let name = gpu["name"].as_str().unwrap();
            assert!(text.contains(name) && korean.contains(name), "{text}{korean}");
        }
    }
}
