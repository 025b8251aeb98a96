//! What fits on a card, from files of the true shapes with nothing in them.

use silhak::{Device, Fit, LoadOptions, ModelFile};
use silhak_synth::{Draft, Mix, Preset};
use tempfile::NamedTempFile;

use crate::family::Family;

const MIXES: [Mix; 4] = [Mix::Q4KM, Mix::Q4_0, Mix::Iq4Xs, Mix::Q8_0];

/// Memory of cards, in GiB.
pub(crate) const CARDS: [u64; 4] = [16, 24, 32, 48];

const GIB: u64 = 1 << 30;

/// What a driver, the screen and a batch take of a card.
const RESERVE: u64 = GIB * 3 / 2;

/// A model in one mix of formats.
pub(crate) struct Row {
    pub(crate) model: &'static str,
    pub(crate) n_parameters: u64,
    pub(crate) mix: Mix,
    pub(crate) file_bytes: u64,
    /// The longest context on each card, in tokens; `None` where not even the weights fit.
    pub(crate) contexts: [Option<usize>; CARDS.len()],
    /// The longest context that the model was trained for, in tokens.
    pub(crate) trained: usize,
}

pub(crate) fn of(families: &[Family]) -> Vec<Row> {
    let presets = families.iter().flat_map(|family| &family.presets).map(|name| Preset::find(name).unwrap());
    presets.flat_map(|preset| MIXES.map(|mix| row(preset, mix))).collect()
}

fn row(preset: &'static Preset, mix: Mix) -> Row {
    let draft = Draft::new(&preset.shape, mix, 1).unwrap();
    let file = NamedTempFile::new().unwrap();
    draft.save_hollow(file.path()).unwrap();
    let model = ModelFile::open(file.path()).unwrap();
    let fit =
        Fit::new(&model, &LoadOptions { device: Device::Cpu, repack: Some(false), ..LoadOptions::default() }).unwrap();
    // Within the reserve.
    let scratch: u64 = fit.estimate().unwrap().shares.iter().map(|share| share.scratch).sum();
    let context = |card| fit.largest_context(card * GIB - RESERVE + scratch).unwrap().map(|estimate| estimate.n_ctx);
    Row {
        model: preset.model,
        n_parameters: draft.n_parameters(),
        mix,
        file_bytes: draft.file_bytes().unwrap(),
        contexts: CARDS.map(context),
        trained: model.model().hyper_params().n_ctx_train,
    }
}
