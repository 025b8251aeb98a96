//! A model file, opened and checked but not loaded.

use std::path::Path;

use silhak_gguf::Gguf;
use silhak_text::{ChatTemplate, ReasoningTags, Tokenizer, ToolCallFormat};

use crate::{Error, TemplateSource, vocab};

/// A model file whose metadata, tensors and forward pass have been checked; no weight has been read.
#[derive(Debug)]
pub struct ModelFile {
    gguf: Gguf,
    model: silhak_model::Model,
}

impl ModelFile {
    /// Opens a GGUF file, or any shard of a split one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let gguf = Gguf::open(path).map_err(|source| Error::File { path: path.into(), source })?;
        let model = silhak_model::Model::from_gguf(&gguf)?;
        Ok(ModelFile { gguf, model })
    }

    /// The file's metadata and tensors.
    pub fn gguf(&self) -> &Gguf {
        &self.gguf
    }

    /// The hyper-parameters and the forward pass.
    pub fn model(&self) -> &silhak_model::Model {
        &self.model
    }

    /// The tokenizer; `pre` overrides the pre-tokenizer that the file names.
    pub fn tokenizer(&self, pre: Option<&str>) -> Result<Tokenizer, Error> {
        vocab::tokenizer(self.gguf.metadata(), pre)
    }

    /// The chat template: the file's own, or else one that Silhak has for the model.
    pub fn template_source(&self) -> Result<Option<TemplateSource<'_>>, Error> {
        TemplateSource::of(self.gguf.metadata())
    }

    /// The chat template, read.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>, Error> {
        Ok(self.template_source()?.map(|source| ChatTemplate::parse(source.text)).transpose()?)
    }

    /// How the model marks its thinking, if the chat template shows that it thinks.
    pub fn reasoning_tags(&self) -> Result<Option<ReasoningTags>, Error> {
        Ok(self.template_source()?.and_then(|source| ReasoningTags::of_template(source.text)))
    }

    /// How the model writes that it calls a tool, if the chat template shows that it does.
    pub fn tool_call_format(&self) -> Result<Option<ToolCallFormat>, Error> {
        Ok(self.template_source()?.and_then(|source| ToolCallFormat::of_template(source.text)))
    }
}
