//! A model's manifest: which files it consists of and where they came from.

use serde::{Deserialize, Serialize};

use crate::catalogue::Licence;
use crate::name::{Digest, ModelName};
use crate::{Result, StoreError};

/// What the store records of a model. A model is in the store when its manifest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The model's name.
    pub name: ModelName,
    /// Where it came from: a catalogue source, or `import`.
    pub source: String,
    /// When it was added, RFC 3339 in UTC.
    pub added: String,
    /// The licence of the weights, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<Licence>,
    /// The GGUF files, in shard order; nearly always one.
    pub files: Vec<ModelFile>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// The name it came with, without folders.
    pub name: String,
    /// SHA-256 of the content, which also names the blob.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
}

impl Manifest {
    /// Bytes of all files together.
    pub fn size(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Whether one of the files has this content.
    pub(crate) fn uses(&self, digest: &Digest) -> bool {
        self.files.iter().any(|file| file.sha256 == *digest)
    }

    /// Whether the files have the same content in the same order, whatever they are called.
    pub(crate) fn has_content_of(&self, other: &Self) -> bool {
        self.files.iter().map(|file| &file.sha256).eq(other.files.iter().map(|file| &file.sha256))
    }

    pub(crate) fn from_toml(stem: &str, text: &str) -> Result<Self> {
        let bad = |why: String| StoreError::BadManifest { name: stem.replace('@', ":"), why };
        let manifest: Self = toml::from_str(text).map_err(|error| bad(error.message().to_owned()))?;
        if manifest.name.file_stem() != stem {
            return Err(bad(format!("it names another model, {}", manifest.name)));
        }
        if manifest.files.is_empty() {
            return Err(bad("it lists no files".into()));
        }
        if let Some(file) = manifest.files.iter().find(|file| !is_plain_file_name(&file.name)) {
            return Err(bad(format!("'{}' is not a plain file name", file.name)));
        }
        Ok(manifest)
    }

    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| StoreError::BadManifest { name: self.name.to_string(), why: error.to_string() })
    }
}

/// The place of a file in a split model, read from its name: `<stem>-00001-of-00003.gguf`, as `gguf-split` writes it.
///
/// Only names matter here: the store knows files by their content and depends on no reader of models, so it does not
/// take this from `silhak-gguf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Bytes of the name before the dash.
    pub(crate) stem_len: usize,
    /// 1-based number of this file.
    pub(crate) index: u32,
    /// Files in all, at least 1.
    pub(crate) count: u32,
}

impl Shard {
    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let number = |text: &str| {
            (text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u32>().ok()).flatten()
        };
        let (rest, count) = file_name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (stem, index) = rest.rsplit_once('-')?;
        let shard = Self { stem_len: stem.len(), index: number(index)?, count: number(count)? };
        (!stem.is_empty() && (1..=shard.count).contains(&shard.index)).then_some(shard)
    }

    /// The name of the sibling with another number.
    pub(crate) fn sibling(self, file_name: &str, index: u32) -> String {
        format!("{}-{index:05}-of-{:05}.gguf", &file_name[..self.stem_len], self.count)
    }
}

/// Whether `name` can be joined to a folder and stay inside it, on every platform.
pub(crate) fn is_plain_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != "."
        && name != ".."
        && !name.contains(|c: char| matches!(c, '/' | '\\' | ':') || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

    #[test]
    fn manifests_round_trip() {
        let manifest = Manifest {
            name: "a:b".parse().unwrap(),
            source: "import".into(),
            added: "2026-01-01T00:00:00Z".into(),
            licence: None,
            files: vec![ModelFile { name: "한국어.gguf".into(), sha256: HEX.parse().unwrap(), size: 7 }],
        };
        assert_eq!(Manifest::from_toml("a@b", &manifest.to_toml().unwrap()).unwrap(), manifest);
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let manifest = |name: &str, file: &str, digest: &str| {
            format!(
                "name = '{name}'\nsource = ''\nadded = ''\n[[files]]\nname = '{file}'\nsha256 = '{digest}'\nsize = 1\n"
            )
        };
        assert!(Manifest::from_toml("a", &manifest("a", "x.gguf", HEX)).is_ok());
        for (name, file, digest) in [
            ("b", "x.gguf", HEX),
            ("../a", "x.gguf", HEX),
            ("a", "../x.gguf", HEX),
            ("a", "..", HEX),
            ("a", "c:x", HEX),
            ("a", "x.gguf", "../../secret"),
            ("a", "x.gguf", &HEX[1..]),
        ] {
            let text = manifest(name, file, digest);
            assert!(Manifest::from_toml("a", &text).is_err(), "accepted: {text}");
        }
        assert!(Manifest::from_toml("a", "name = 'a'\nsource = ''\nadded = ''\nfiles = []\n").is_err());
    }

    #[test]
    fn shard_names() {
        let name = "big-Q4_K_M-00002-of-00003.gguf";
        let shard = Shard::parse(name).unwrap();
        assert_eq!((shard.index, shard.count, &name[..shard.stem_len]), (2, 3, "big-Q4_K_M"));
        assert_eq!(shard.sibling(name, 3), "big-Q4_K_M-00003-of-00003.gguf");
        for other in
            ["a.gguf", "a-00000-of-00002.gguf", "a-00003-of-00002.gguf", "a-1-of-2.gguf", "-00001-of-00001.gguf"]
        {
            assert_eq!(Shard::parse(other), None, "{other}");
        }
    }
}
