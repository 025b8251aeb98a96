//! The small models in `tests/fixtures`, and what their makers' classes say about some tokens.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use safetensors::{Dtype, SafeTensors};

/// A checkpoint as its maker would publish it, with golden numbers computed by `transformers` in float32.
#[derive(Debug)]
pub struct Fixture {
    /// The folder's name: a model class, with the kind of weights behind a dot.
    pub name: String,
    /// The checkpoint.
    pub folder: PathBuf,
    /// The tokens.
    pub ids: Vec<u32>,
    /// Entries of the vocabulary, rising.
    pub columns: Vec<usize>,
    /// The logits of all tokens in these columns: `[n_ids, n_columns]`.
    pub logits: Vec<f32>,
    /// All logits of the last token.
    pub last: Vec<f32>,
    /// The largest magnitude of any logit.
    pub scale: f32,
    /// Of a trained model, what it says when asked.
    pub answer: Option<Answer>,
}

/// What the class says most probably behind a prompt.
#[derive(Debug)]
pub struct Answer {
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// The tokens behind it.
    pub tokens: Vec<u32>,
    /// The smallest lead of one of them over the second most probable.
    pub margin: f32,
}

/// All fixtures, by name.
///
/// # Errors
/// Where one is broken, or there are none.
pub fn all() -> Result<Vec<Fixture>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut fixtures = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let folder = entry?.path();
        let golden = folder.join("golden.safetensors");
        if golden.exists() {
            fixtures.push(read(folder, &golden).with_context(|| golden.display().to_string())?);
        }
    }
    if fixtures.is_empty() {
        bail!("there are no fixtures in {}", folder.display());
    }
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(fixtures)
}

fn read(folder: PathBuf, golden: &Path) -> Result<Fixture> {
    let bytes = fs::read(golden)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let ids = |name: &str| values(&file, name, Dtype::I32, u32::from_le_bytes);
    let floats = |name: &str| values(&file, name, Dtype::F32, f32::from_le_bytes);
    let first = |name: &str| Ok::<_, anyhow::Error>(*floats(name)?.first().context("no value")?);
    let has_answer = file.names().contains(&"greedy");
    let answer =
        || Ok::<_, anyhow::Error>(Answer { prompt: ids("prompt")?, tokens: ids("greedy")?, margin: first("margin")? });
    Ok(Fixture {
        name: folder.file_name().context("no name")?.to_string_lossy().into_owned(),
        ids: ids("ids")?,
        columns: ids("columns")?.into_iter().map(|id| id as usize).collect(),
        logits: floats("logits")?,
        last: floats("last")?,
        scale: first("scale")?,
        answer: has_answer.then(answer).transpose()?,
        folder,
    })
}

fn values<T>(file: &SafeTensors<'_>, name: &str, dtype: Dtype, convert: fn([u8; 4]) -> T) -> Result<Vec<T>> {
    let tensor = file.tensor(name)?;
    if tensor.dtype() != dtype {
        bail!("{name}: expected {dtype:?}, found {:?}", tensor.dtype());
    }
    Ok(tensor.data().as_chunks::<4>().0.iter().map(|&bytes| convert(bytes)).collect())
}
