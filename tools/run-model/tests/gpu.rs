//! The verbs on a GPU, software included; skipped where there is none.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use serde_json::Value;
use silhak_tests::tiny::Tiny;
use support::Home;

/// A home with a tiny model, and the model's path.
fn home() -> (Home, String) {
    let home = Home::new();
    let path = home.folder.path().join("tiny.gguf");
    Tiny::new("llama").write(&path).unwrap();
    (home, path.into_os_string().into_string().unwrap())
}

fn has_gpu() -> bool {
    silhak_tests::gpu::open_or_skip(&Default::default()).is_some()
}

#[test]
fn verbs_run_on_the_gpu_and_say_so() {
    if !has_gpu() {
        return;
    }
    let (home, model) = home();
    for (layers, both) in [("all", false), ("2", true)] {
        let on = ["--device", "gpu", "--gpu-layers", layers, "--ctx", "64"];
        let says = |json: &Value| {
            let names = json["runs_on"].as_str().unwrap().to_owned();
            assert!(names.contains("gpu (") && names.contains("cpu-") == both, "{names}");
        };
        let asked = [&["run", &model, "안녕", "--temp", "0", "--max-tokens", "3"][..], &on].concat();
        says(&home.json(&[&asked[..], &["--json"]].concat()));
        assert!(home.ok(&[&asked[..], &["--stats"]].concat()).stderr.contains("gpu ("));
        let bench = ["bench", &model, "--prefill", "4", "--decode", "2", "--reps", "1", "--json"];
        says(&home.json(&[&bench[..], &on].concat()));
    }
    let nll = |device| {
        let score = ["perplexity", &model, "대한민국은 민주공화국이다.", "--json", "--device", device];
        home.json(&score)["mean_nll"].as_f64().unwrap()
    };
    assert!((nll("gpu") - nll("cpu")).abs() < 0.02);
}

#[test]
fn fit_tells_what_goes_where() {
    if !has_gpu() {
        return;
    }
    let (home, model) = home();
    let fit = |more: &[&str]| {
        home.json(&[&["fit", &model, "--device", "gpu", "--ctx", "64", "--memory", "1GB", "--json"][..], more].concat())
    };
    let whole = fit(&[]);
    assert_eq!(whole["shares"].as_array().unwrap().len(), 1);
    let budget = whole["total_bytes"].as_u64().unwrap() - 1;
    let split = fit(&["--gpu-memory", &budget.to_string()]);
    let [cpu, gpu] = &split["shares"].as_array().unwrap()[..] else { panic!("{split}") };
    assert_eq!(
        (&cpu["is_gpu"], &gpu["is_gpu"], &split["gpu_memory_bytes"]),
        (&false.into(), &true.into(), &budget.into())
    );
    assert!(gpu["total_bytes"].as_u64().unwrap() <= budget);
    assert_eq!(cpu["n_layers"].as_u64().unwrap() + gpu["n_layers"].as_u64().unwrap(), 3);
    let refused = home.run(&["fit", &model, "--device", "gpu", "--gpu-layers", "all", "--gpu-memory", "1kB"]);
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("--gpu-memory"), "{}", refused.stderr);
}

#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    let (home, model) = home();
    let nowhere = home.run(&["run", &model, "안녕", "--device", "gpu", "--adapter", "no such card", "--lang", "ko"]);
    assert_eq!(nowhere.status, Some(1));
    assert!(nowhere.stderr.contains("GPU"), "{}", nowhere.stderr);
}
