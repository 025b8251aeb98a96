//! Real models open and list right, mapped and read.

mod common;

use std::collections::BTreeMap;

use silhak_gguf::{Gguf, TensorType, TensorType::*};

struct Facts {
    file: &'static str,
    bytes: u64,
    architecture: &'static str,
    tensors: &'static [(TensorType, usize)],
    vocab: usize,
    pre: &'static str,
    template: bool,
}

const MODELS: [Facts; 4] = [
    Facts {
        file: "smollm2-135m.gguf",
        bytes: 98_362_432,
        architecture: "llama",
        tensors: &[(F32, 61), (Q4_1, 210), (Q8_0, 1)],
        vocab: 49_152,
        pre: "smollm",
        template: true,
    },
    Facts {
        file: "qwen2.5-coder-0.5b.gguf",
        bytes: 491_400_064,
        architecture: "qwen2",
        tensors: &[(F32, 121), (Q5_0, 133), (Q8_0, 13), (Q4_K, 12), (Q6_K, 12)],
        vocab: 151_936,
        pre: "qwen2",
        template: true,
    },
    Facts {
        file: "qwen2.5-coder-1.5b.gguf",
        bytes: 1_117_320_768,
        architecture: "qwen2",
        tensors: &[(F32, 141), (Q4_K, 169), (Q6_K, 29)],
        vocab: 151_936,
        pre: "qwen2",
        template: true,
    },
    Facts {
        file: "gemma-3-270m.gguf",
        bytes: 253_113_024,
        architecture: "gemma3",
        tensors: &[(F32, 109), (Q5_0, 81), (Q8_0, 10), (Q4_K, 27), (Q6_K, 9)],
        vocab: 262_144,
        pre: "default",
        template: false,
    },
];

#[test]
fn real_models_list_right() {
    for facts in MODELS {
        let Some(path) = common::test_model(facts.file) else { continue };
        let model = Gguf::open(&path).unwrap();
        assert_eq!((model.version(), model.alignment(), model.n_shards()), (3, 32, 1));
        assert_eq!(model.file_bytes(), facts.bytes, "{}", facts.file);

        let mut counts = BTreeMap::new();
        for tensor in model.tensors() {
            *counts.entry(tensor.ty()).or_insert(0) += 1;
            let data = model.data(tensor);
            assert_eq!(data.len(), tensor.row_bytes() * tensor.n_rows());
            assert_eq!(data.as_ptr().align_offset(32), 0, "{tensor:?}");
            assert_eq!(model.tensor(tensor.name()).unwrap().offset(), tensor.offset());
        }
        assert_eq!(counts, facts.tensors.iter().copied().collect(), "{}", facts.file);

        let metadata = model.metadata();
        assert_eq!(metadata.str("general.architecture").unwrap(), facts.architecture);
        let tokens = metadata.str_array("tokenizer.ggml.tokens").unwrap();
        assert_eq!(tokens.len(), facts.vocab);
        assert_eq!(metadata.i32_array("tokenizer.ggml.token_type").unwrap().len(), facts.vocab);
        assert_eq!(metadata.opt_str("tokenizer.ggml.pre").unwrap(), Some(facts.pre), "{}", facts.file);
        assert_eq!(metadata.opt_str("tokenizer.chat_template").unwrap().is_some(), facts.template);

        let width = metadata.u32(&format!("{}.embedding_length", facts.architecture)).unwrap();
        let embedding = model.tensor("token_embd.weight").unwrap();
        assert_eq!(embedding.dims(), [u64::from(width), facts.vocab as u64]);
        assert_eq!((embedding.row_len(), embedding.n_rows()), (width as usize, facts.vocab));
    }
}

#[test]
fn owned_memory_holds_the_same_bytes_as_the_map() {
    let Some(path) = common::test_model("smollm2-135m.gguf") else { return };
    let (mapped, owned) = (Gguf::open(&path).unwrap(), Gguf::open_owned(&path).unwrap());
    assert_eq!(mapped.metadata(), owned.metadata());
    for (a, b) in mapped.tensors().iter().zip(owned.tensors()) {
        assert_eq!((a.name(), a.ty(), a.dims(), a.offset()), (b.name(), b.ty(), b.dims(), b.offset()));
        assert!(mapped.data(a) == owned.data(b), "{}", a.name());
        assert_eq!(owned.data(b).as_ptr().align_offset(32), 0);
    }
    assert_eq!(mapped.tensors().len(), owned.tensors().len());
}
