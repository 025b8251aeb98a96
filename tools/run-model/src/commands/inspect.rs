//! `run-model inspect FILE`

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use silhak::ModelFile;
use silhak::gguf::{Array, Gguf, Metadata, TensorInfo, Value};

use crate::cli::InspectArgs;
use crate::context::Context;
use crate::facts::{self, TypeShare};
use crate::messages::Lang;
use crate::{engine, output};

pub(crate) fn run(args: &InspectArgs, context: &Context) -> anyhow::Result<()> {
    let path = engine::find(&args.model, context)?;
    if args.plan {
        return output::line(ModelFile::open(path)?.model().plan().to_string().trim_end());
    }
    let gguf = engine::open(&path)?;
    if args.json { output::json_line(&Report::new(&gguf)) } else { print(&gguf, context.lang) }
}

fn print(gguf: &Gguf, lang: Lang) -> anyhow::Result<()> {
    output::line(&lang.file_line(gguf.version(), gguf.n_shards(), gguf.file_bytes(), gguf.alignment()))?;
    output::line(&format!("\n{}", lang.metadata_head(gguf.metadata().len())))?;
    let rows: Vec<_> = gguf.metadata().iter().map(|(key, value)| [key.to_owned(), abridge(value)]).collect();
    output::table(&rows)?;
    output::line(&format!("\n{}", lang.tensors_head(gguf.tensors().len())))?;
    let rows: Vec<_> = gguf.tensors().iter().map(row).collect();
    output::table(&rows)?;
    output::line(&format!("\n{}", lang.types_head()))?;
    let rows = facts::types(gguf).into_iter().map(|share| {
        let TypeShare { ty, n_tensors, bytes } = share;
        [ty.to_owned(), n_tensors.to_string(), output::bytes(bytes)]
    });
    output::table(&rows.collect::<Vec<_>>())
}

fn row(tensor: &TensorInfo) -> [String; 4] {
    let dims = tensor.dims().iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
    [tensor.name().to_owned(), tensor.ty().name().to_owned(), dims, output::bytes(tensor.n_bytes() as u64)]
}

/// A value on one line, as JSON, cut where it is long.
fn abridge(value: &Value) -> String {
    const MOST_CHARS: usize = 100;
    const MOST_ELEMENTS: usize = 8;
    let (text, length) = match value {
        Value::Array(array) => (to_json(&Elements { array, most: MOST_ELEMENTS }), Some(array.len())),
        other => (to_json(&Json(other)), None),
    };
    let cut = match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    match length {
        Some(length) if length > MOST_ELEMENTS => format!("{cut} ({length})"),
        _ => cut,
    }
}

fn to_json(value: &impl Serialize) -> String {
    // Values of GGUF all have a form in JSON.
    serde_json::to_string(value).unwrap_or_default()
}

/// A file as `inspect --json` prints it.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    alignment: u32,
    n_shards: u32,
    file_bytes: u64,
    metadata: Entries<'a>,
    tensors: Vec<Tensor<'a>>,
    types: Vec<TypeShare>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: &'static str,
    dims: &'a [u64],
    bytes: usize,
    shard: u32,
    offset: u64,
}

impl<'a> Report<'a> {
    fn new(gguf: &'a Gguf) -> Self {
        let tensors = gguf.tensors().iter().map(|tensor| Tensor {
            name: tensor.name(),
            ty: tensor.ty().name(),
            dims: tensor.dims(),
            bytes: tensor.n_bytes(),
            shard: tensor.shard(),
            offset: tensor.offset(),
        });
        Self {
            version: gguf.version(),
            alignment: gguf.alignment(),
            n_shards: gguf.n_shards(),
            file_bytes: gguf.file_bytes(),
            metadata: Entries(gguf.metadata()),
            tensors: tensors.collect(),
            types: facts::types(gguf),
        }
    }
}

/// Metadata in the order of the file.
struct Entries<'a>(&'a Metadata);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0.iter() {
            map.serialize_entry(key, &Json(value))?;
        }
        map.end()
    }
}

/// A value in its natural form.
struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::U8(v) => v.serialize(serializer),
            Value::I8(v) => v.serialize(serializer),
            Value::U16(v) => v.serialize(serializer),
            Value::I16(v) => v.serialize(serializer),
            Value::U32(v) => v.serialize(serializer),
            Value::I32(v) => v.serialize(serializer),
            Value::U64(v) => v.serialize(serializer),
            Value::I64(v) => v.serialize(serializer),
            Value::F32(v) => v.serialize(serializer),
            Value::F64(v) => v.serialize(serializer),
            Value::Bool(v) => v.serialize(serializer),
            Value::String(v) => v.serialize(serializer),
            Value::Array(array) => Elements { array, most: usize::MAX }.serialize(serializer),
        }
    }
}

/// The first elements of an array.
struct Elements<'a> {
    array: &'a Array,
    most: usize,
}

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let most = self.most;
        match self.array {
            Array::U8(v) => serializer.collect_seq(v.iter().take(most)),
            Array::I8(v) => serializer.collect_seq(v.iter().take(most)),
            Array::U16(v) => serializer.collect_seq(v.iter().take(most)),
            Array::I16(v) => serializer.collect_seq(v.iter().take(most)),
            Array::U32(v) => serializer.collect_seq(v.iter().take(most)),
            Array::I32(v) => serializer.collect_seq(v.iter().take(most)),
            Array::U64(v) => serializer.collect_seq(v.iter().take(most)),
            Array::I64(v) => serializer.collect_seq(v.iter().take(most)),
            Array::F32(v) => serializer.collect_seq(v.iter().take(most)),
            Array::F64(v) => serializer.collect_seq(v.iter().take(most)),
            Array::Bool(v) => serializer.collect_seq(v.iter().take(most)),
            Array::String(v) => serializer.collect_seq(v.iter().take(most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_and_short_ones_whole() {
        assert_eq!(abridge(&Value::F32(0.1)), "0.1");
        assert_eq!(abridge(&Value::String("a\nb".into())), "\"a\\nb\"");
        assert_eq!(abridge(&Value::Array(Array::I32(vec![1, 2]))), "[1,2]");
        assert_eq!(abridge(&Value::Array(Array::I32(vec![1; 9]))), "[1,1,1,1,1,1,1,1] (9)");
        assert!(abridge(&Value::String("가".repeat(500))).ends_with('…'));
    }
}
