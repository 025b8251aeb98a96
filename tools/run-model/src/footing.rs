//! Where a model runs, when that changes under way.

use silhak::{Model, Share};

use crate::messages::Lang;

/// Notices when a GPU that fails has lost layers of a model.
pub(crate) struct Footing {
    shares: Vec<Share>,
}

impl Footing {
    /// Where `model` runs now.
    pub(crate) fn of(model: &Model) -> Self {
        Footing { shares: model.shares() }
    }

    /// What the user is to be told: once for each change, and nothing where there was none.
    pub(crate) fn news(&mut self, model: &Model, lang: Lang) -> Option<String> {
        let before = std::mem::replace(&mut self.shares, model.shares());
        let on_gpu = self.shares.iter().filter(|share| share.is_gpu).map(|share| share.layers.len()).sum();
        (before != self.shares).then(|| lang.runs_elsewhere(&model.device(), on_gpu))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
mod tests {
    use std::sync::Arc;

    use silhak::{Device, GenerateOptions, LoadOptions};
    use silhak_tests::gpu::open_or_skip;
    use silhak_tests::tiny::Tiny;

    use super::*;

    #[test]
    fn a_gpu_that_cannot_be_filled_again_is_news_once() {
        let Some(gpu) = open_or_skip(&Default::default()) else { return };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        Tiny::new("llama").write(&path).unwrap();
        for (lang, word) in [(Lang::En, "now runs on cpu-"), (Lang::Ko, "이제 cpu-")] {
            let options = LoadOptions { device: Device::Gpu, n_ctx: Some(64), ..LoadOptions::default() };
            let model = Model::load_on_gpu(&path, options, Arc::new(gpu.clone())).unwrap();
            let mut footing = Footing::of(&model);
            let answer = || {
                let options = GenerateOptions { max_tokens: Some(2), ..GenerateOptions::default() };
                model.session().generate(&[1, 2, 3], options).unwrap().for_each(|piece| drop(piece.unwrap()));
            };
            answer();
            assert_eq!(footing.news(&model, lang), None);
            gpu.lose();
            gpu.limit_memory(Some(0));
            answer();
            let news = footing.news(&model, lang).unwrap();
            assert!(news.contains(word), "{news}");
            assert_eq!(footing.news(&model, lang), None);
            gpu.limit_memory(None);
        }
    }
}
