//! Synthetic models through the engine: deep ones compute with sane numbers, and say different things at every position.

use std::num::NonZero;
use std::ops::ControlFlow;

use silhak::{ChatOptions, GenerateOptions, LoadOptions, Message, Model};
use silhak_synth::{Draft, Mix, Preset, Shape};
use silhak_tests::Distance;

/// A preset with all its layers and heads, and narrow elsewhere.
fn narrow(preset: &Preset) -> Shape {
    Shape { n_vocab: 2000, n_embd: 256, n_ff: 512, ..preset.shape }
}

#[test]
fn every_preset_runs() {
    for preset in Preset::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        let draft = Draft::new(&narrow(preset), Mix::Q4KM, 1).unwrap();
        draft.save(&path, NonZero::<usize>::MIN, &mut |_| ControlFlow::Continue(())).unwrap();
        let model = Model::load(&path, LoadOptions { n_ctx: Some(100), ..LoadOptions::default() }).unwrap();

        let prompt = model.chat_prompt(&[Message::user("안녕하세요? the king")], &ChatOptions::default()).unwrap();
        let logits = model.logits(&prompt, 16).unwrap();
        assert!(logits.iter().all(|logit| logit.is_finite()), "{}", preset.name);
        let logit_scale = preset.shape.multipliers.map_or(1.0, |multipliers| multipliers.logit);
        let rows: Vec<_> = logits.chunks_exact(2000).collect();
        assert_eq!(rows.len(), prompt.len());
        for (i, row) in rows.iter().enumerate() {
            let mean = row.iter().sum::<f32>() / 2000.0;
            let deviation = (row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 2000.0).sqrt() / logit_scale;
            assert!((0.5..2.0).contains(&deviation), "{}: logits of deviation {deviation}", preset.name);
            for other in &rows[..i] {
                let distance = Distance::between(row, other).nmse;
                assert!(distance > 0.01, "{}: positions alike but for {distance}", preset.name);
            }
        }
        let options = GenerateOptions { max_tokens: Some(5), ignore_end: true, ..GenerateOptions::default() };
        assert_eq!(model.session().generate(&prompt, options).unwrap().map(Result::unwrap).count(), 5);
    }
}
