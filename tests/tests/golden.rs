//! Real models against golden logits that an independent float32 implementation computed (`golden/README.md`).

use std::path::PathBuf;

use serde::Deserialize;
use silhak::cpu::Isa;
use silhak::{
    CancelToken, ChatOptions, Device, GenerateOptions, KvElement, LoadOptions, Message, Model, SamplingOptions,
};
use silhak_tests::models::model_or_skip;

/// One file of `golden/`.
#[derive(Deserialize)]
struct Golden {
    ids: Vec<u32>,
    mean_nll: f64,
}

const MODELS: [(&str, &str); 4] = [
    ("smollm2-135m", "smollm2"),
    ("gemma-3-270m", "gemma3-270m"),
    ("qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b"),
    ("qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b"),
];

fn golden(name: &str) -> Golden {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{name}.constitution256.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn load(file: &str, device: Device) -> Option<Model> {
    let path = model_or_skip(&format!("{file}.gguf"))?;
    Some(Model::load(path, LoadOptions { device, n_ctx: Some(256), ..LoadOptions::default() }).unwrap())
}

fn mean_nll(model: &Model, ids: &[u32]) -> f64 {
    let nll = model.score(ids, &CancelToken::new()).unwrap();
    assert_eq!(nll.len(), ids.len() - 1);
    nll.iter().sum::<f64>() / nll.len() as f64
}

/// In float32 nothing but the order of the sums differs from the golden numbers.
#[test]
fn the_reference_gives_the_golden_likelihood() {
    for (file, name) in MODELS {
        let Some(model) = load(file, Device::Reference) else { continue };
        let golden = golden(name);
        let found = mean_nll(&model, &golden.ids);
        println!("{file}: reference {found:.6}, golden {:.6}", golden.mean_nll);
        assert!((found - golden.mean_nll).abs() <= 0.0005, "{file}: {found} is not {}", golden.mean_nll);
    }
}

/// The fast kernels round activations to 8 bits, which moves the likelihood a little; plain scalar code that rounds them
/// the same way gives the same likelihood.
///
/// The float32 reference with rounded activations is no such code. Its sums run in another order and differ in their last
/// bit, so some value lies on the other side of a rounding step, and after a few layers the two round independently: they
/// are as far from each other as from the golden numbers.
#[test]
fn the_kernels_stay_near_the_golden_likelihood() {
    for (file, name) in MODELS {
        let Some(model) = load(file, Device::Cpu) else { continue };
        let golden = golden(name);
        let found = mean_nll(&model, &golden.ids);
        let path = model_or_skip(&format!("{file}.gguf")).unwrap();
        let options = LoadOptions { isa: Some(Isa::Generic), n_ctx: Some(256), ..LoadOptions::default() };
        let scalar = mean_nll(&Model::load(path, options).unwrap(), &golden.ids);
        println!("{file}: cpu {found:.6}, scalar {scalar:.6}, golden {:.6}", golden.mean_nll);
        assert!((found - golden.mean_nll).abs() <= 0.01, "{file}: {found} is not near {}", golden.mean_nll);
        assert!((found - scalar).abs() <= 0.002, "{file}: {found} is not near {scalar}");
    }
}

/// What keys and values in 8 bits cost depends on the model: the smaller Qwen loses 0.092, the others less than 0.01.
#[test]
fn keys_and_values_in_8_bits_cost_what_was_measured() {
    for ((file, name), most) in MODELS.into_iter().zip([0.02, 0.02, 0.12, 0.02]) {
        let Some(path) = model_or_skip(&format!("{file}.gguf")) else { continue };
        let kv_element = Some(KvElement::Q8_0);
        let options = LoadOptions { device: Device::Cpu, n_ctx: Some(256), kv_element, ..LoadOptions::default() };
        let golden = golden(name);
        let found = mean_nll(&Model::load(path, options).unwrap(), &golden.ids);
        println!("{file}: {found:.6}, golden {:.6}", golden.mean_nll);
        assert!((found - golden.mean_nll).abs() <= most, "{file}: {found} is not near {}", golden.mean_nll);
    }
}

/// Margins of 8.0 and 5.3 at the first token: rounding cannot change these answers.
#[test]
fn the_qwens_answer_in_korean() {
    const IDS: [u32; 10] = [66845, 23573, 125496, 124785, 20401, 134013, 16560, 136905, 78952, 13];
    for file in ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"] {
        let Some(model) = load(file, Device::Cpu) else { continue };
        let messages = [
            Message::system("You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
            Message::user("대한민국의 수도는 어디인가요?"),
        ];
        let prompt = model.chat_prompt(&messages, &ChatOptions::default()).unwrap();
        let options = GenerateOptions { sampling: SamplingOptions::greedy(), ..GenerateOptions::default() };
        let mut session = model.session();
        let pieces: Vec<_> = session.generate(&prompt, options).unwrap().map(Result::unwrap).collect();
        let ids: Vec<u32> = pieces.iter().filter_map(|p| p.token).collect();
        let text: String = pieces.into_iter().map(|p| p.text).collect();
        assert_eq!((ids.as_slice(), text.as_str()), (&IDS[..], "대한민국의 수도는 서울입니다."), "{file}");
    }
}
