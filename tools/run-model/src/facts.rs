//! What a model file says of itself. Needs no architecture to be known.

use serde::Serialize;
use silhak::gguf::{Gguf, Metadata};
use silhak::{RecommendedSampling, TemplateSource};

/// The facts that people ask for, as `show --json` prints them.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    /// `general.name`.
    pub(crate) title: Option<String>,
    /// `general.architecture`.
    pub(crate) architecture: Option<String>,
    /// Whether Silhak runs that architecture.
    pub(crate) runs: bool,
    /// Elements of all tensors.
    pub(crate) parameters: u64,
    /// Context length trained on, in tokens.
    pub(crate) context_length: Option<u64>,
    /// Element types, the one with most bytes first.
    pub(crate) types: Vec<TypeShare>,
    /// Whether it has a chat template, or Silhak has one for it.
    pub(crate) chat_template: bool,
    /// Whether that one is Silhak's.
    pub(crate) builtin_template: bool,
    /// `general.license`, or its long name.
    pub(crate) licence: Option<String>,
    /// How it is best sampled, as far as the file or the maker's model card says.
    pub(crate) sampling: Sampling,
}

/// The options of `run` that are recommended for a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Sampling {
    #[serde(skip_serializing_if = "Option::is_none")]
    temp: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f32>,
}

impl Sampling {
    fn of(metadata: &Metadata) -> Self {
        let RecommendedSampling { temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty } =
            RecommendedSampling::of(metadata);
        Sampling { temp: temperature, top_k, top_p, min_p, repeat_penalty: repetition_penalty, presence_penalty }
    }

    /// As `run` takes them: `--temp 0.6 --top-p 0.95`; `None` where nothing is recommended.
    pub(crate) fn flags(&self) -> Option<String> {
        let numbers = [
            ("--temp", self.temp),
            ("--top-p", self.top_p),
            ("--min-p", self.min_p),
            ("--repeat-penalty", self.repeat_penalty),
            ("--presence-penalty", self.presence_penalty),
        ];
        let numbers = numbers.into_iter().filter_map(|(flag, number)| Some(format!("{flag} {}", number?)));
        let flags: Vec<String> = numbers.chain(self.top_k.map(|k| format!("--top-k {k}"))).collect();
        (!flags.is_empty()).then(|| flags.join(" "))
    }
}

/// How much of a model is stored in one element type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TypeShare {
    #[serde(rename = "type")]
    pub(crate) ty: &'static str,
    pub(crate) n_tensors: usize,
    pub(crate) bytes: u64,
}

impl Facts {
    pub(crate) fn of(gguf: &Gguf) -> Self {
        let metadata = gguf.metadata();
        let text = |key: &str| string(metadata, key);
        let architecture = text("general.architecture");
        let template = TemplateSource::of(metadata).ok().flatten();
        let length = architecture.as_ref().map(|name| format!("{name}.context_length"));
        Self {
            title: text("general.name"),
            runs: silhak::architectures().any(|name| Some(name) == architecture.as_deref()),
            parameters: gguf.tensors().iter().map(|tensor| tensor.n_elements() as u64).sum(),
            context_length: length.and_then(|key| metadata.opt_u64(&key).ok().flatten()),
            types: types(gguf),
            chat_template: template.is_some(),
            builtin_template: template.is_some_and(|template| template.is_builtin),
            licence: text("general.license.name").or_else(|| text("general.license")),
            sampling: Sampling::of(metadata),
            architecture,
        }
    }

    /// The element types that make up the model, such as `Q4_K 74 %, Q6_K 26 %`; those below a percent are left out.
    pub(crate) fn mix(&self) -> String {
        let total = self.types.iter().map(|share| share.bytes).sum::<u64>().max(1);
        let percent = |share: &TypeShare| (100 * share.bytes + total / 2) / total;
        let parts = self.types.iter().filter(|share| percent(share) > 0);
        parts.map(|share| format!("{} {} %", share.ty, percent(share))).collect::<Vec<_>>().join(", ")
    }
}

/// The element types of a model, the one with most bytes first.
pub(crate) fn types(gguf: &Gguf) -> Vec<TypeShare> {
    let mut types: Vec<TypeShare> = Vec::new();
    for tensor in gguf.tensors() {
        let (ty, bytes) = (tensor.ty().name(), tensor.n_bytes() as u64);
        match types.iter_mut().find(|share| share.ty == ty) {
            Some(share) => {
                share.n_tensors += 1;
                share.bytes += bytes;
            }
            None => types.push(TypeShare { ty, n_tensors: 1, bytes }),
        }
    }
    types.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.ty.cmp(b.ty)));
    types
}

/// A string that is there and not of another type: one odd key must not hide the rest.
fn string(metadata: &Metadata, key: &str) -> Option<String> {
    metadata.opt_str(key).ok().flatten().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_in_percent_of_bytes() {
        let share = |ty, bytes| TypeShare { ty, n_tensors: 1, bytes };
        let types = vec![share("Q4_K", 740), share("Q6_K", 258), share("F32", 2)];
        let facts = Facts {
            title: None,
            architecture: None,
            runs: false,
            parameters: 0,
            context_length: None,
            types,
            chat_template: false,
            builtin_template: false,
            sampling: Sampling::default(),
            licence: None,
        };
        assert_eq!(facts.mix(), "Q4_K 74 %, Q6_K 26 %");
    }

    #[test]
    fn what_is_recommended_is_shown_as_it_is_asked_for() {
        let sampling = Sampling { temp: Some(0.6), top_p: Some(0.95), top_k: Some(20), ..Sampling::default() };
        assert_eq!(sampling.flags().as_deref(), Some("--temp 0.6 --top-p 0.95 --top-k 20"));
        assert_eq!(Sampling::default().flags(), None);
    }
}
