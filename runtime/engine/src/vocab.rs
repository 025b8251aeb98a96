//! The vocabulary in a file's metadata (`tokenizer.ggml.*`).

use silhak_gguf::Metadata;
use silhak_text::{TokenType, Tokenizer, VocabSource};

use crate::Error;

/// The tokenizer in a file's metadata, whatever the file's architecture; `pre` overrides the pre-tokenizer that it names.
///
/// # Errors
/// A key is missing or of another type, or the vocabulary is damaged or of an unknown kind.
pub fn tokenizer(metadata: &Metadata, pre: Option<&str>) -> Result<Tokenizer, Error> {
    Ok(Tokenizer::new(source(metadata, pre)?)?)
}

fn source(metadata: &Metadata, pre: Option<&str>) -> Result<VocabSource, Error> {
    let strings = |key: &str| -> Result<Vec<String>, Error> {
        let array = metadata.opt_str_array(key)?;
        Ok(array.map_or_else(Vec::new, |strings| strings.iter().map(str::to_owned).collect()))
    };
    let id = |name: &str| metadata.opt_u32(&format!("tokenizer.ggml.{name}_token_id"));
    let flag = |name: &str| metadata.opt_bool(&format!("tokenizer.ggml.{name}"));
    let types = metadata.opt_i32_array("tokenizer.ggml.token_type")?;
    Ok(VocabSource {
        model: metadata.str("tokenizer.ggml.model")?.into(),
        pre: pre.or(metadata.opt_str("tokenizer.ggml.pre")?).map(str::to_owned),
        tokens: strings("tokenizer.ggml.tokens")?,
        scores: metadata.opt_f32_array("tokenizer.ggml.scores")?.unwrap_or_default().to_vec(),
        types: types.unwrap_or_default().iter().map(|&t| TokenType::try_from(t)).collect::<Result<_, _>>()?,
        merges: strings("tokenizer.ggml.merges")?,
        bos: id("bos")?,
        eos: id("eos")?,
        eot: id("eot")?,
        eom: id("eom")?,
        unk: id("unknown")?,
        pad: id("padding")?,
        sep: id("seperator")?,
        mask: id("mask")?,
        add_bos: flag("add_bos_token")?,
        add_eos: flag("add_eos_token")?,
        add_space_prefix: flag("add_space_prefix")?,
        remove_extra_whitespaces: flag("remove_extra_whitespaces")?,
    })
}
