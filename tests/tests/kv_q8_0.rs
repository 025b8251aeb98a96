//! Keys and values in 8 bits, through the whole engine, on tiny random models.

use std::path::PathBuf;

use silhak::cpu::Isa;
use silhak::{BackendError, Device, Error, Fit, GenerateOptions, KvElement, LoadOptions, Model, ModelFile};
use silhak::{SamplingOptions, architectures};
use silhak_ops::cases::Random;
use silhak_tests::Distance;
use silhak_tests::tiny::Tiny;
use tempfile::TempDir;

struct TinyFile(TempDir);

impl TinyFile {
    fn new(tiny: &Tiny) -> Self {
        let file = TinyFile(tempfile::tempdir().unwrap());
        tiny.write(&file.path()).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("tiny.gguf")
    }

    fn load(&self, change: impl FnOnce(&mut LoadOptions)) -> Result<Model, Error> {
        let mut options = LoadOptions { kv_element: Some(KvElement::Q8_0), ..options() };
        change(&mut options);
        Model::load(self.path(), options)
    }
}

fn options() -> LoadOptions {
    LoadOptions { device: Device::Cpu, n_ctx: Some(300), ..LoadOptions::default() }
}

/// One of each architecture whose heads are whole blocks: those of latent attention are not, as small as they are here.
fn models() -> impl Iterator<Item = (&'static str, TinyFile)> {
    let files = architectures().map(|architecture| (architecture, TinyFile::new(&Tiny::new(architecture))));
    files.filter(|(_, file)| {
        let file = ModelFile::open(file.path()).unwrap();
        file.model().plan().kv_layers().iter().all(|layer| layer.head_dim.is_multiple_of(32))
    })
}

fn tokens(n: usize) -> Vec<u32> {
    let mut random = Random::new(11);
    (0..n).map(|_| random.below(256) as u32).collect()
}

#[test]
fn a_session_answers_and_takes_34_bytes_for_32_values() {
    for (architecture, file) in models() {
        let model = file.load(|_| ()).unwrap();
        let opened = ModelFile::open(file.path()).unwrap();
        let kv_bytes = |kv_element| {
            let options = LoadOptions { kv_element, ..options() };
            let shares = Fit::new(&opened, &options).unwrap().estimate().unwrap().shares;
            shares.iter().map(|share| share.kv).sum::<u64>()
        };
        let (half, eight) = (kv_bytes(None), kv_bytes(Some(KvElement::Q8_0)));
        assert_eq!(eight * 64, half * 34, "{architecture}");
        assert_eq!(model.shares().iter().map(|share| share.kv).sum::<u64>(), eight, "{architecture}");

        let options = GenerateOptions {
            sampling: SamplingOptions::greedy(),
            max_tokens: Some(20),
            ignore_end: true,
            ..GenerateOptions::default()
        };
        let mut session = model.session();
        let answer = session.generate(&tokens(70), options).unwrap();
        assert_eq!(answer.filter_map(|piece| piece.unwrap().token).count(), 20, "{architecture}");
    }
}

#[test]
fn logits_are_near_those_of_half_precision() {
    for (architecture, file) in models() {
        let tokens = tokens(100);
        let logits = |kv_element| file.load(|o| o.kv_element = kv_element).unwrap().logits(&tokens, 32).unwrap();
        let (eight, half) = (logits(Some(KvElement::Q8_0)), logits(None));
        let distance = Distance::between(&eight, &half);
        println!("{architecture}: {distance:?}");
        assert!(eight != half && distance.nmse.sqrt() <= 0.05, "{architecture}: {distance:?}");
    }
}

#[test]
fn chunks_pages_threads_and_instruction_sets_change_no_bit() {
    for (architecture, file) in models() {
        let tokens = tokens(150);
        let one_by_one = file.load(|_| ()).unwrap().logits(&tokens, 1).unwrap();
        for (page_len, n_batch, isa) in [(64, 32, None), (1, 7, None), (24, 150, Some(Isa::Generic))] {
            let found = file.load(|o| (o.page_len, o.isa) = (page_len, isa)).unwrap().logits(&tokens, n_batch).unwrap();
            assert!(found == one_by_one, "{architecture}, pages of {page_len}, batches of {n_batch}, {isa:?}");
        }
    }
}

#[test]
fn heads_of_other_sizes_are_an_error_that_says_what_to_do() {
    let file = TinyFile::new(&Tiny { head_dim: 40, ..Tiny::new("llama") });
    let error = file.load(|_| ()).unwrap_err();
    let is_found = |error: &Error| matches!(error, Error::Prepare(BackendError::KvHead { found: 40, .. }));
    assert!(is_found(&error) && error.to_string().contains("--kv f16"), "{error}");
    let opened = ModelFile::open(file.path()).unwrap();
    let options = LoadOptions { kv_element: Some(KvElement::Q8_0), ..options() };
    let estimate = Fit::new(&opened, &options).and_then(|fit| fit.estimate());
    assert!(is_found(&estimate.unwrap_err()));
}
