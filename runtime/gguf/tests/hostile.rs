//! Damaged files are rejected or harmless: no panic, under a second and under 64 MiB each, whatever is cut or flipped.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use common::raw::*;
use common::{cases, peak};
use silhak_gguf::{Error, Gguf, StringArray, TensorType, Writer};

#[global_allocator]
static ALLOCATOR: peak::Counting = peak::Counting;

/// Memory is counted for the whole process, so that tests which count take turns.
static TURN: Mutex<()> = Mutex::new(());

const MAX_TIME: Duration = Duration::from_secs(1);
const MAX_MEMORY: usize = 64 << 20;

/// Parses `file` within the limits on time and memory; what is accepted is used in full.
fn parse(file: &Bytes, what: &dyn Fn() -> String) -> Result<(), Error> {
    let start = Instant::now();
    let (result, memory) = peak::of(|| Gguf::parse(file.clone()).map(|model| use_up(&model, file)));
    let time = start.elapsed();
    assert!(time < MAX_TIME, "{} took {time:?}", what());
    assert!(memory < MAX_MEMORY, "{} took {memory} bytes", what());
    result
}

/// Asks for all that a model has, and holds it to what the types promise.
fn use_up(model: &Gguf, file: &Bytes) {
    for (key, value) in model.metadata().iter() {
        assert_eq!(model.metadata().get(key).map(|found| found.ty()), Some(value.ty()));
    }
    for tensor in model.tensors() {
        assert!(model.tensor(tensor.name()).is_some());
        let data = model.data(tensor);
        assert_eq!(data.len(), tensor.n_rows() * tensor.row_bytes());
        assert_eq!(tensor.ty().row_bytes(tensor.row_len() as u64), Some(tensor.row_bytes() as u64));
        let start = tensor.offset() as usize;
        assert_eq!(data, file[start..start + data.len()]);
    }
}

/// A model with a vocabulary of `n_tokens` and one layer of tensors, with data.
fn small_model(n_tokens: usize) -> Bytes {
    let tokens: Vec<String> = (0..n_tokens)
        .map(|id| match id % 3 {
            0 => format!("<0x{id:02X}>"),
            1 => char::from_u32(0xac00 + id as u32).map(String::from).unwrap_or_default(),
            _ => format!("Ġtoken{id}"),
        })
        .collect();
    let merges = tokens.windows(2).take(n_tokens / 4).map(|pair| format!("{} {}", pair[0], pair[1]));
    let mut writer = Writer::new();
    let fill = |writer: &mut Writer| -> Result<(), Error> {
        writer.add("general.architecture", "qwen2")?.add("general.name", "작은 모델")?;
        writer.add("qwen2.block_count", 1u32)?.add("qwen2.rope.freq_base", 1e6f32)?;
        writer.add("qwen2.attention.head_count_kv", vec![2i32])?.add("tokenizer.ggml.add_bos_token", false)?;
        writer.add("tokenizer.ggml.tokens", StringArray::new(&tokens)?)?;
        writer.add("tokenizer.ggml.token_type", vec![1i32; n_tokens])?;
        writer.add("tokenizer.ggml.scores", vec![-0.5f32; n_tokens])?;
        writer.add("tokenizer.ggml.merges", StringArray::new(merges)?)?;
        writer.add("tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}")?;
        writer.add_tensor("token_embd.weight", TensorType::Q8_0, &[32, n_tokens as u64])?;
        writer.add_tensor("blk.0.attn_norm.weight", TensorType::F32, &[32])?;
        writer.add_tensor("blk.0.attn_q.weight", TensorType::Q4_0, &[32, 32])?;
        writer.add_tensor("blk.0.ffn_up_exps.weight", TensorType::Q5_1, &[32, 8, 4])?;
        writer.add_tensor("blk.0.ffn_down.weight", TensorType::Q4_K, &[256, 4])?;
        writer.add_tensor("output_norm.weight", TensorType::F16, &[32])?;
        Ok(())
    };
    fill(&mut writer).unwrap();
    let mut data = writer.begin(Vec::new()).unwrap();
    while let Some((name, n_bytes)) = data.expected() {
        let name = name.to_owned();
        data.write(&name, &vec![0xa5; n_bytes as usize]).unwrap();
    }
    data.finish().unwrap().into()
}

#[test]
fn cut_anywhere_in_the_first_64_kib() {
    let _turn = TURN.lock();
    let file = small_model(2200);
    let model = Gguf::parse(file.clone()).unwrap();
    let table_end = model.tensors()[0].offset() as usize;
    assert!((60_000..65_536).contains(&table_end), "the cuts should reach the header's end, {table_end}");
    let data_end = model.tensors().iter().map(|t| t.offset() as usize + t.n_bytes()).max().unwrap();
    for len in 0..=65_536 {
        assert!(len < data_end);
        assert!(parse(&file.slice(..len), &|| format!("a cut at {len}")).is_err(), "a cut at {len}");
    }
}

#[test]
fn cut_at_the_edge_of_each_tensor() {
    let _turn = TURN.lock();
    let file = small_model(60);
    let model = Gguf::parse(file.clone()).unwrap();
    let last_end = model.tensors().iter().map(|t| t.offset() as usize + t.n_bytes()).max().unwrap();
    for tensor in model.tensors() {
        let start = tensor.offset() as usize;
        for edge in [start, start + tensor.n_bytes()] {
            for len in edge - 1..=edge + 1 {
                let result = parse(&file.slice(..len.min(file.len())), &|| format!("a cut at {len}"));
                match result {
                    Ok(()) => assert!(len >= last_end),
                    Err(error) => {
                        assert!(len < last_end, "a cut at {len}: {error}");
                        assert!(matches!(error, Error::TensorPastEnd { .. }), "a cut at {len}: {error}");
                    }
                }
            }
        }
    }
}

#[test]
fn flipped_bits() {
    let _turn = TURN.lock();
    let file = small_model(60);
    let header_bits = Gguf::parse(file.clone()).unwrap().tensors()[0].offset() * 8;
    let (mut rejected, mut accepted) = (0, 0);
    // Every bit of the header once, then random pairs, triples and so on: damage seldom comes alone.
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for round in 0..100_000u64 {
        let flips: Vec<u64> = match round < header_bits {
            true => vec![round],
            false => (0..=next(4)).map(|_| next(header_bits)).collect(),
        };
        let mut damaged = BytesMut::from(&file[..]);
        for &bit in &flips {
            damaged[bit as usize / 8] ^= 1 << (bit % 8);
        }
        match parse(&damaged.freeze(), &|| format!("flipping bits {flips:?}")) {
            Ok(()) => accepted += 1,
            Err(_) => rejected += 1,
        }
    }
    // Most bits of a header are text and numbers that any value suits; counts, lengths, types and offsets are not.
    assert!(rejected > 20_000 && accepted > 1_000, "{rejected} rejected, {accepted} accepted");
}

#[test]
fn malformed_files_are_cheap_to_refuse() {
    let _turn = TURN.lock();
    for case in cases::all() {
        let result = parse(&case.bytes.into(), &|| case.name.to_owned());
        assert_eq!(result.is_ok(), case.expected == "Ok", "{}", case.name);
    }
}

/// The dearest files for their size: many tiny entries.
#[test]
fn memory_is_a_small_multiple_of_the_file() {
    let _turn = TURN.lock();
    let many_keys = (0..65_536).fold(Raw::v3(0, 65_536), |raw, i| raw.key(&format!("{i:x}"), U8).bytes(&[0]));
    let many_tensors =
        (0..65_536u64).fold(Raw::v3(65_536, 0), |raw, i| raw.tensor(&format!("{i:x}"), &[1], 24, 32 * i));
    let n_strings = 2 << 20;
    let empty_strings = Raw::v3(0, 1).array("k", STRING, n_strings).bytes(&vec![0; 8 * n_strings as usize]);
    let bools = Raw::v3(0, 1).array("k", BOOL, 8 << 20).bytes(&vec![1; 8 << 20]);
    for (what, file, max_percent) in [
        ("keys of four bytes", many_keys, 500),
        ("tensors of one byte", many_tensors.data(32 * 65_536), 350),
        ("empty strings", empty_strings, 60),
        ("booleans", bools, 110),
    ] {
        let file = Bytes::from(file.0);
        let (result, memory) = peak::of(|| Gguf::parse(file.clone()));
        result.unwrap();
        let percent = 100 * memory / file.len();
        assert!(percent <= max_percent, "{what}: {memory} bytes for a file of {}, {percent} %", file.len());
        assert!(memory < MAX_MEMORY, "{what}: {memory} bytes");
    }
}
