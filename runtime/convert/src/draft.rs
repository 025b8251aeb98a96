//! What a file will hold: every tensor's two names, its format, and the metadata.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::Dtype;
use silhak_gguf::{TensorType, Value, Writer};
use silhak_quant::{Format, Mix, Outline};

use crate::checkpoint::{Checkpoint, Tensor};
use crate::config::Config;
use crate::families::{self, Extras, Family, Form, Name, Place};
use crate::sizes::{Latent, Sizes};
use crate::{Error, Options, rope, tokenizer};

/// A file that is not written yet.
pub(crate) struct Draft {
    pub(crate) mix: Mix,
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) parts: Vec<Part>,
    /// The maker's names of tensors that are not taken.
    pub(crate) left_out: Vec<String>,
}

/// A tensor of the file.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) format: Format,
    /// The slowest dimension first.
    pub(crate) shape: Vec<usize>,
    pub(crate) source: Source,
}

/// Where a tensor's values come from.
pub(crate) enum Source {
    /// A tensor of the checkpoint.
    Tensor {
        name: String,
        change: Change,
    },
    /// Tensors of the checkpoint, one behind the other.
    Stack(Vec<String>),
    Values(Vec<f32>),
}

/// What becomes of a tensor's values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    None,
    /// The rows are those of so many heads, and change their order.
    PermutedHeads(usize),
    /// Every value grows by one.
    PlusOne,
    /// Of each head's rows, those of the keys become columns.
    LatentKeys(Latent),
    /// Of each head's rows, those of the values are taken.
    LatentValues(Latent),
}

impl Part {
    pub(crate) fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }

    pub(crate) fn cols(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

impl Draft {
    pub(crate) fn new(folder: &Path, checkpoint: &Checkpoint, options: &Options) -> Result<Draft, Error> {
        let outer = Config::read(&folder.join("config.json"))?;
        let class = outer.get("architectures").and_then(|classes| classes.get(0)?.as_str());
        let class = class.ok_or_else(|| outer.wrong("architectures", "a list with the name of the model's class"))?;
        let family = families::find(class)?;
        // Models that also see have the text's part inside.
        let mut config = outer.inside("text_config").unwrap_or_else(|| outer.clone());
        config.inherit(&outer, "tie_word_embeddings");
        let has_output = checkpoint.names().any(|name| name.ends_with("lm_head.weight"));
        let sizes = Sizes::read(&config, has_output)?;
        let mix = options.mix.unwrap_or_else(|| mix_of_source(checkpoint));

        let mut list = List { checkpoint, family, sizes: &sizes, mix, taken: BTreeSet::new(), parts: Vec::new() };
        let rope = rope::extras(&config, &sizes, family.rope_base)?;
        let extras = (family.extras)(&config, &sizes)?;
        list.model(&[&rope, &extras])?;
        let List { taken, parts, .. } = list;
        let left_out = left_out(checkpoint, &taken, class, sizes.tied)?;

        let n_vocab = parts.first().map_or(0, Part::rows);
        let mut metadata = vec![
            ("general.architecture".into(), Value::from(family.architecture)),
            ("general.type".into(), "model".into()),
            ("general.name".into(), model_name(folder).as_str().into()),
            ("general.file_type".into(), Value::U32(mix.file_type())),
            // The version of the block formats, which is the one that all files have had since 2023.
            ("general.quantization_version".into(), Value::U32(2)),
        ];
        let hyper = [sizes.metadata(n_vocab), rope.metadata, extras.metadata].into_iter().flatten();
        metadata.extend(hyper.map(|(key, value)| (format!("{}.{key}", family.architecture), value)));
        metadata.extend(tokenizer::metadata(folder, &config, n_vocab, options.pre.as_deref())?);
        Ok(Draft { mix, metadata, parts, left_out })
    }

    /// A writer that knows everything but the values.
    pub(crate) fn writer(&self) -> Result<Writer, Error> {
        let mut writer = Writer::new();
        for (key, value) in &self.metadata {
            writer.add(key, value.clone())?;
        }
        for Part { name, format, shape, .. } in &self.parts {
            let dims: Vec<u64> = shape.iter().rev().map(|&n| n as u64).collect();
            let ty = TensorType::from_name(format.name()).ok_or_else(|| silhak_gguf::Error::Unwritable {
                field: format!("tensor {name}"),
                reason: format!("{format} is no type that GGUF knows"),
            })?;
            writer.add_tensor(name, ty, &dims)?;
        }
        Ok(writer)
    }
}

/// Collects the parts, and which tensors of the checkpoint they come from.
struct List<'a> {
    checkpoint: &'a Checkpoint,
    family: &'a Family,
    sizes: &'a Sizes,
    mix: Mix,
    taken: BTreeSet<String>,
    parts: Vec<Part>,
}

impl List<'_> {
    /// All parts in the order of the file; the embedding comes first.
    fn model(&mut self, extras: &[&Extras]) -> Result<(), Error> {
        let names = self.family.names;
        for name in names.model.iter().filter(|name| name.gguf != "output" || !self.sizes.tied) {
            self.tensor(name.gguf.into(), name.maker.into(), name)?;
        }
        for (name, values) in extras.iter().flat_map(|extras| &extras.vectors) {
            let (shape, source) = (vec![values.len()], Source::Values(values.clone()));
            self.parts.push(Part { name: format!("{name}.weight"), format: Format::F32, shape, source });
        }
        for i in 0..self.sizes.n_layers {
            let has_experts = i >= self.sizes.n_dense_layers;
            for name in names.block.iter().copied().flatten() {
                let (gguf, maker) =
                    (format!("blk.{i}.{}", name.gguf), format!("{}{i}.{}", names.block_prefix, name.maker));
                match name.place {
                    Place::Dense if has_experts => {}
                    Place::Sparse if !has_experts => {}
                    _ => self.tensor(gguf, maker, name)?,
                }
            }
        }
        Ok(())
    }

    fn tensor(&mut self, gguf: String, maker: String, name: &Name) -> Result<(), Error> {
        match name.form {
            Form::Weight => self.weight(gguf, maker, name),
            Form::Bias => {
                let Some(source) = self.take_if_there(&maker) else {
                    return match name.place {
                        Place::SomeModels => Ok(()),
                        _ => Err(Error::MissingTensor { name: maker }),
                    };
                };
                let shape = self.checkpoint.get(&source).map(|tensor| tensor.shape.clone()).unwrap_or_default();
                let source = Source::Tensor { name: source, change: Change::None };
                self.parts.push(Part { name: format!("{gguf}.bias"), format: Format::F32, shape, source });
                Ok(())
            }
            Form::LatentKeys | Form::LatentValues => self.latent(format!("{gguf}.weight"), &maker, name),
            Form::Experts => self.experts(format!("{gguf}.weight"), &format!("{maker}.weight")),
        }
    }

    /// The matrices of all experts, as one tensor.
    fn experts(&mut self, name: String, maker: &str) -> Result<(), Error> {
        let n_experts = self.sizes.n_experts;
        let of_expert = |expert: usize| maker.replace('*', &expert.to_string());
        let names = (0..n_experts).map(|i| self.take(&of_expert(i))).collect::<Result<Vec<_>, _>>()?;
        let shapes = names.iter().filter_map(|name| self.checkpoint.get(name)).map(|tensor| &tensor.shape);
        let first = shapes.clone().next().cloned().unwrap_or_default();
        if let Some((name, shape)) = names.iter().zip(shapes).find(|(_, shape)| **shape != first) {
            return Err(Error::ExpertShape { name: name.clone(), expected: first, found: shape.clone() });
        }
        let shape = [vec![n_experts], first].concat();
        let format = format(self.mix, &name, &shape, &self.sizes.outline());
        self.parts.push(Part { name, format, shape, source: Source::Stack(names) });
        Ok(())
    }

    /// The matrices of latent attention's heads, which the maker has in one: keys above values, head by head.
    fn latent(&mut self, name: String, maker: &str, of: &Name) -> Result<(), Error> {
        let source = self.take(&format!("{maker}.weight"))?;
        let shape = self.checkpoint.get(&source).map(|tensor| tensor.shape.clone()).unwrap_or_default();
        let (rows, rank) = (shape.first().copied().unwrap_or(0), shape.get(1).copied().unwrap_or(0));
        let fitting = self.sizes.latent.filter(|l| shape.len() == 2 && rows == l.n_heads * (l.n_plain + l.n_value));
        let Some(latent) = fitting else {
            return Err(Error::Heads { name: source, n_heads: self.sizes.n_heads, rows });
        };
        let (shape, change) = match of.form {
            Form::LatentKeys => (vec![latent.n_heads, rank, latent.n_plain], Change::LatentKeys(latent)),
            _ => (vec![latent.n_heads, latent.n_value, rank], Change::LatentValues(latent)),
        };
        let format = format(self.mix, &name, &shape, &self.sizes.outline());
        self.parts.push(Part { name, format, shape, source: Source::Tensor { name: source, change } });
        Ok(())
    }

    /// A tensor that must be there, under the name that it has.
    fn take(&mut self, name: &str) -> Result<String, Error> {
        self.take_if_there(name).ok_or_else(|| Error::MissingTensor { name: name.into() })
    }

    fn take_if_there(&mut self, name: &str) -> Option<String> {
        let (found, _) = self.find(name)?;
        self.taken.insert(found.clone());
        Some(found)
    }

    /// A weight, and its bias where there is one.
    fn weight(&mut self, gguf: String, maker: String, name: &Name) -> Result<(), Error> {
        let heads = match name.gguf {
            "attn_q" => Some(self.sizes.n_heads),
            "attn_k" => Some(self.sizes.n_kv_heads),
            _ => None,
        };
        let permuted_heads = heads.filter(|_| self.family.permuted);
        for (end, is_required) in [("weight", name.place != Place::SomeModels), ("bias", false)] {
            let Some((source, tensor)) = self.find(&format!("{maker}.{end}")) else {
                if is_required {
                    return Err(Error::MissingTensor { name: format!("{maker}.{end}") });
                }
                continue;
            };
            // Halves of a head change places, so there are as many rows, or values of a bias, as heads can share.
            let rows = tensor.shape[0];
            if let Some(n_heads) = permuted_heads.filter(|n_heads| !rows.is_multiple_of(2 * n_heads)) {
                return Err(Error::Heads { name: source, n_heads, rows });
            }
            let (name, shape) = (format!("{gguf}.{end}"), tensor.shape.clone());
            let change = match permuted_heads {
                Some(n_heads) => Change::PermutedHeads(n_heads),
                None if self.family.norms_from_zero && name.ends_with("norm.weight") => Change::PlusOne,
                None => Change::None,
            };
            let format = format(self.mix, &name, &shape, &self.sizes.outline());
            self.taken.insert(source.clone());
            self.parts.push(Part { name, format, shape, source: Source::Tensor { name: source, change } });
        }
        Ok(())
    }

    /// A tensor under the name it has here, or in a model that has other parts beside the text's.
    fn find(&self, name: &str) -> Option<(String, &Tensor)> {
        let inside = name.strip_prefix("model.").unwrap_or(name);
        [
            name.to_owned(),
            format!("model.language_model.{inside}"),
            format!("language_model.{name}"),
            format!("model.language_model.{name}"),
        ]
        .into_iter()
        .find_map(|name| self.checkpoint.get(&name).filter(|t| !t.shape.is_empty()).map(|tensor| (name, tensor)))
    }
}

/// Vectors are not worth a loss, and what chooses between experts is felt everywhere.
fn format(mix: Mix, name: &str, shape: &[usize], outline: &Outline) -> Format {
    match *shape {
        _ if name.ends_with(".ffn_gate_inp.weight") => Format::F32,
        [.., _, n_in] => mix.format(name, n_in, outline),
        _ => Format::F32,
    }
}

/// Nothing is lost: matrices stay as the checkpoint has them. GGUF has no 8-bit floats; scaled, they are nearer to BF16 than they
/// ever were to what they were made from.
fn mix_of_source(checkpoint: &Checkpoint) -> Mix {
    let widest = checkpoint.names().filter_map(|name| checkpoint.get(name)).max_by_key(|t| t.rows() * t.cols());
    match widest.map(Tensor::dtype) {
        Some(Dtype::F16) => Mix::F16,
        Some(Dtype::BF16 | Dtype::F8_E4M3) => Mix::Bf16,
        _ => Mix::F32,
    }
}

/// The tensors that were not taken, none of which may matter.
fn left_out(checkpoint: &Checkpoint, taken: &BTreeSet<String>, class: &str, tied: bool) -> Result<Vec<String>, Error> {
    let left: Vec<String> = checkpoint.names().filter(|name| !taken.contains(*name)).map(str::to_owned).collect();
    let matters = |name: &&String| !(families::may_be_left_out(name) || tied && name.ends_with("lm_head.weight"));
    match left.iter().find(matters) {
        Some(name) => Err(Error::UnknownTensor { name: name.clone(), class: class.into() }),
        None => Ok(left),
    }
}

/// That of the folder, which has the name of the maker's repository.
fn model_name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}
