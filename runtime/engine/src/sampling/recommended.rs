//! What makers recommend for their models: in the file, or known of the model.

use silhak_gguf::Metadata;

use super::SamplingOptions;

/// How a model is best sampled, as far as its maker says; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecommendedSampling {
    /// [`SamplingOptions::temperature`].
    pub temperature: Option<f32>,
    /// [`SamplingOptions::top_k`].
    pub top_k: Option<usize>,
    /// [`SamplingOptions::top_p`].
    pub top_p: Option<f32>,
    /// [`SamplingOptions::min_p`].
    pub min_p: Option<f32>,
    /// [`SamplingOptions::repetition_penalty`].
    pub repetition_penalty: Option<f32>,
    /// [`SamplingOptions::presence_penalty`].
    pub presence_penalty: Option<f32>,
}

impl RecommendedSampling {
    /// What the file says under `general.sampling.*`; where it says nothing, what the maker's model card says of a model that
    /// looks like this one. A number that makes no sense is none.
    pub fn of(metadata: &Metadata) -> RecommendedSampling {
        let in_file = RecommendedSampling::in_file(metadata);
        if in_file == RecommendedSampling::default() { of_maker(metadata) } else { in_file }
    }

    fn in_file(metadata: &Metadata) -> RecommendedSampling {
        let number = |name: &str, fits: &dyn Fn(f32) -> bool| {
            let found = metadata.opt_f32(&format!("general.sampling.{name}")).ok().flatten();
            found.filter(|&number| fits(number))
        };
        let probability = |p| SamplingOptions::PROBABILITY.contains(&p);
        let top_k = metadata.opt_i32("general.sampling.top_k").ok().flatten();
        RecommendedSampling {
            temperature: number("temp", &|t| SamplingOptions::TEMPERATURE.contains(&t)),
            top_k: top_k.and_then(|k| usize::try_from(k).ok()),
            top_p: number("top_p", &probability),
            min_p: number("min_p", &probability),
            repetition_penalty: number("penalty_repeat", &|x| SamplingOptions::FACTOR.contains(&x)),
            presence_penalty: None,
        }
    }

    /// The options, with what is recommended in place of the defaults.
    pub fn options(&self) -> SamplingOptions {
        let defaults = SamplingOptions::default();
        SamplingOptions {
            temperature: self.temperature.unwrap_or(defaults.temperature),
            top_k: self.top_k.unwrap_or(defaults.top_k),
            top_p: self.top_p.unwrap_or(defaults.top_p),
            min_p: self.min_p.unwrap_or(defaults.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(defaults.repetition_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(defaults.presence_penalty),
            ..defaults
        }
    }
}

/// What model cards say. A model's name can be anything; its architecture, its size and its template cannot.
fn of_maker(metadata: &Metadata) -> RecommendedSampling {
    let architecture = metadata.opt_str("general.architecture").ok().flatten().unwrap_or_default();
    let template = metadata.opt_str("tokenizer.chat_template").ok().flatten().unwrap_or_default();
    let size = |name: &str| metadata.opt_u64(&format!("{architecture}.{name}")).ok().flatten();
    let of = |temperature, top_p| RecommendedSampling {
        temperature: Some(temperature),
        top_p: Some(top_p),
        min_p: Some(0.0),
        ..RecommendedSampling::default()
    };
    match architecture {
        // EXAONE Deep.
        "exaone" if template.contains("<thought>") => of(0.6, 0.95),
        // EXAONE 4.0 1.2B mixes languages in Korean chats unless it is colder.
        "exaone4" if size("block_count") == Some(30) => of(0.1, 0.95),
        // EXAONE 4.5, in Korean.
        "exaone4" if size("vocab_size") == Some(153_600) => {
            RecommendedSampling { top_k: Some(20), presence_penalty: Some(1.5), ..of(0.6, 0.95) }
        }
        "exaone4" => of(0.6, 0.95),
        "exaone-moe" => of(1.0, 0.95),
        // Solar Open; GLM has the architecture, too.
        "glm4moe" if metadata.opt_str("tokenizer.ggml.pre").ok().flatten() == Some("solar-open") => {
            RecommendedSampling { top_k: Some(50), ..of(0.8, 0.95) }
        }
        "vaetki" => RecommendedSampling { top_k: Some(20), ..of(0.7, 0.95) },
        _ => RecommendedSampling::default(),
    }
}
