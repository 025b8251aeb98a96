//! Names of the files of a split model.

use std::path::{Path, PathBuf};

/// The name of one file of a split model: `{prefix}-{no + 1:05}-of-{count:05}.gguf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardName {
    /// The path up to the shard's number.
    pub prefix: PathBuf,
    /// The shard's number, from 0 (as in `split.no`; the file name counts from 1).
    pub no: u32,
    /// How many shards there are.
    pub count: u32,
}

/// Key of a shard's number, from 0.
pub(crate) const SPLIT_NO: &str = "split.no";
/// Key of the number of shards.
pub(crate) const SPLIT_COUNT: &str = "split.count";
/// Key of the number of tensors in all shards.
pub(crate) const SPLIT_TENSORS: &str = "split.tensors.count";

impl ShardName {
    /// Reads a shard's name from a path; `None` if it is not one or its numbers make no sense.
    pub fn parse(path: &Path) -> Option<ShardName> {
        let stem = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (prefix, no) = rest.rsplit_once('-')?;
        let (no, count) = (five_digits(no)?, five_digits(count)?);
        if no == 0 || no > count {
            return None;
        }
        Some(ShardName { prefix: path.with_file_name(prefix), no: no - 1, count })
    }

    /// The path of this shard.
    pub fn path(&self) -> PathBuf {
        let mut path = self.prefix.clone().into_os_string();
        path.push(format!("-{:05}-of-{:05}.gguf", u64::from(self.no) + 1, self.count));
        path.into()
    }

    /// The name of shard `no` (from 0) of the same model.
    pub fn sibling(&self, no: u32) -> ShardName {
        ShardName { prefix: self.prefix.clone(), no, count: self.count }
    }
}

fn five_digits(text: &str) -> Option<u32> {
    let digits = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let path = Path::new("/models/exaone-4-of-5-00002-of-00003.gguf");
        let name = ShardName::parse(path).unwrap();
        assert_eq!(name, ShardName { prefix: "/models/exaone-4-of-5".into(), no: 1, count: 3 });
        assert_eq!(name.path(), path);
        assert_eq!(name.sibling(2).path(), Path::new("/models/exaone-4-of-5-00003-of-00003.gguf"));
    }

    #[test]
    fn other_names_are_not_shards() {
        for name in [
            "model.gguf",
            "model-00001-of-00003.bin",
            "model-1-of-3.gguf",
            "model-00000-of-00003.gguf",
            "model-00004-of-00003.gguf",
            "model-+0001-of-00003.gguf",
            "00001-of-00003.gguf",
        ] {
            assert_eq!(ShardName::parse(Path::new(name)), None, "{name}");
        }
    }
}
