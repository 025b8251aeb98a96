//! What the Korean models take in their true shapes: no weights are needed to see it.

use silhak::{Device, Fit, LoadOptions, ModelFile};
use silhak_ops::KvElement;
use silhak_synth::{Draft, Mix, Preset};
use tempfile::NamedTempFile;

const GIB: u64 = 1 << 30;

/// A file of a model's shape, with nothing in it.
fn hollow(preset: &str, mix: Mix) -> (NamedTempFile, ModelFile) {
    let file = NamedTempFile::new().unwrap();
    Draft::new(&Preset::find(preset).unwrap().shape, mix, 1).unwrap().save_hollow(file.path()).unwrap();
    let model = ModelFile::open(file.path()).unwrap();
    (file, model)
}

/// Bytes of keys and values that another token of context takes, and what local layers take whatever the context, each
/// with a window of 4096 and 512 tokens of a batch.
#[test]
fn keys_and_values_take_what_the_shapes_say() {
    for (preset, per_token, of_windows) in [
        ("exaone3.5-32b", 262_144, 0),
        ("exaone4-32b", 65_536, 48 * 2 * 8 * 128 * 2 * (4096 + 512)),
        ("exaone4-1.2b", 2 * 8 * 64 * 30 * 2, 0),
        ("hcx-think-14b", 155_648, 0),
        ("hcx-think-32b", 294_912, 0),
        ("ax3.1-34b", 196_608, 0),
        ("ax4-72b", 327_680, 0),
        ("solar-pro-preview-22b", 2 * 10 * 128 * 64 * 2, 0),
    ] {
        let (_file, model) = hollow(preset, Mix::Q4KM);
        let kv_bytes = |n_ctx: usize| {
            let layers = model.model().plan().kv_layers();
            let tokens = |window: Option<usize>| window.map_or(n_ctx, |window| (window + 512).min(n_ctx));
            layers.iter().map(|l| 2 * tokens(l.window) * KvElement::F16.bytes(l.width())).sum::<usize>()
        };
        let n_ctx = 32_768;
        assert_eq!(kv_bytes(n_ctx + 1) - kv_bytes(n_ctx), per_token, "{preset}");
        assert_eq!(kv_bytes(n_ctx) - n_ctx * per_token, of_windows, "{preset}");
        let options =
            LoadOptions { device: Device::Cpu, n_ctx: Some(n_ctx.min(trained(&model))), ..LoadOptions::default() };
        let estimate = Fit::new(&model, &options).unwrap().estimate().unwrap();
        let expected = kv_bytes(estimate.n_ctx) as f64;
        // Pages are whole.
        let found = estimate.shares.iter().map(|share| share.kv).sum::<u64>() as f64;
        assert!((0.99..1.03).contains(&(found / expected)), "{preset}: {found} of {expected}");
    }
}

fn trained(model: &ModelFile) -> usize {
    model.model().hyper_params().n_ctx_train
}

/// The longest contexts in thousands (of 1024) with keys and values in half precision, on cards of so many GiB of which 1.5 are
/// not for weights and context.
#[test]
fn contexts_that_fit_on_a_card() {
    for (preset, mix, card, thousands) in [
        ("exaone3.5-32b", Mix::Q4_0, 24, 22),
        ("exaone3.5-32b", Mix::Iq4Xs, 24, 25),
        ("exaone4-32b", Mix::Q4KM, 24, 58),
        ("exaone4-32b", Mix::Q4_0, 24, 76),
        ("exaone4-32b", Mix::Iq4Xs, 24, 87),
        ("hcx-think-32b", Mix::Q4KM, 32, 37),
        ("hcx-think-32b", Mix::Q4_0, 32, 47),
        ("hcx-think-32b", Mix::Q8_0, 48, 50),
        ("ax3.1-34b", Mix::Q4_0, 24, 22),
        ("ax4-72b", Mix::Q4_0, 48, 27),
        ("ax4-72b", Mix::Q4KM, 80, 111),
    ] {
        let (_file, model) = hollow(preset, mix);
        let fit = Fit::new(&model, &LoadOptions { device: Device::Cpu, repack: Some(false), ..LoadOptions::default() })
            .unwrap();
        let scratch: u64 = fit.estimate().unwrap().shares.iter().map(|share| share.scratch).sum();
        let found = fit.largest_context(card * GIB - 3 * GIB / 2 + scratch).unwrap().unwrap().n_ctx as f64 / 1024.0;
        assert!((found / f64::from(thousands) - 1.0).abs() < 0.05, "{preset} {mix} on {card} GiB: {found:.1}K");
    }
}
