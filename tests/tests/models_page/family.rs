//! What is known of a family of models beyond what is computed.

use serde::Deserialize;
use silhak_store::Catalogue;

use crate::page::Lang;

/// Models of one maker and one architecture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) maker: Text,
    pub(crate) sizes: String,
    /// `general.architecture` of its files.
    pub(crate) architecture: String,
    /// The maker's repositories on Hugging Face.
    pub(crate) weights: Vec<String>,
    /// Shapes of `run-model synth`.
    pub(crate) presets: Vec<String>,
    /// Names in the catalogue of `run-model pull`.
    pub(crate) pull: Vec<String>,
    /// Folders in `tests/fixtures`.
    pub(crate) fixtures: Vec<String>,
    /// Whether what they are compared with was written here, as `transformers` has no class of the maker's.
    #[serde(default)]
    pub(crate) own_class: bool,
    /// Whether `run-model convert` makes a file of what the maker publishes.
    #[serde(default = "yes")]
    pub(crate) converts: bool,
    pub(crate) school: School,
    pub(crate) licence: Licence,
    pub(crate) note: Option<Text>,
}

fn yes() -> bool {
    true
}

/// Whether a school may use it.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum School {
    /// The licence says so.
    Yes,
    /// If the licence is the one that it is said to be.
    Probably,
    /// The licence does not name teaching.
    Ask,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Licence {
    pub(crate) standing: Standing,
    pub(crate) text: Text,
    pub(crate) url: String,
}

/// How well a licence is known.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// Its text was read.
    Read,
    /// The maker or others call it that.
    Said,
}

/// A text in both languages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    en: String,
    ko: String,
}

impl Text {
    pub(crate) fn in_(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Ko => &self.ko,
        }
    }
}

impl Family {
    pub(crate) fn all() -> Vec<Family> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            family: Vec<Family>,
        }
        toml::from_str::<File>(include_str!("families.toml")).unwrap().family
    }
}

pub(crate) fn catalogue() -> Catalogue {
    Catalogue::builtin().unwrap()
}
