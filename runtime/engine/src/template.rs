//! Which chat template a model speaks by.

use silhak_gguf::Metadata;
use silhak_text::ChatTemplate;

use crate::Error;

/// A chat template, as Jinja source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateSource<'a> {
    /// The template itself.
    pub text: &'a str,
    /// Whether it is Silhak's own, after what the maker documents, because the file has none.
    pub is_builtin: bool,
}

impl<'a> TemplateSource<'a> {
    /// The template in a file's metadata, or else the one that Silhak has for such models; `None` where there is neither.
    ///
    /// # Errors
    /// [`Error::Metadata`] if a key is of another type.
    pub fn of(metadata: &'a Metadata) -> Result<Option<TemplateSource<'a>>, Error> {
        if let Some(text) = metadata.opt_str("tokenizer.chat_template")? {
            return Ok(Some(TemplateSource { text, is_builtin: false }));
        }
        let Some(architecture) = metadata.opt_str("general.architecture")? else {
            return Ok(None);
        };
        let Some(tokens) = metadata.opt_str_array("tokenizer.ggml.tokens")? else {
            return Ok(None);
        };
        let builtin = ChatTemplate::builtin(architecture, |token| tokens.iter().any(|own| own == token));
        Ok(builtin.map(|text| TemplateSource { text, is_builtin: true }))
    }
}
