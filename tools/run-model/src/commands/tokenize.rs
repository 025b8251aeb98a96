//! `run-model tokenize MODEL [TEXT]`

use serde::Serialize;
use silhak::{Special, Tokenizer};

use crate::cli::TokenizeArgs;
use crate::context::Context;
use crate::{engine, output};

pub(crate) fn run(args: &TokenizeArgs, context: &Context) -> anyhow::Result<()> {
    let text = args.input.read(context.lang)?;
    let gguf = engine::open(&engine::find(&args.model, context)?)?;
    let tokenizer = silhak::tokenizer(gguf.metadata(), args.pre.pre.as_deref())?;
    let special = if args.special { Special::Parse } else { Special::Ignore };
    let mut ids = tokenizer.encode(&text, special);
    if args.bos {
        ids = tokenizer.with_bos(ids);
    }
    if args.json {
        return output::json_line(&Tokens { ids });
    }
    let rows: Vec<_> = ids.iter().map(|&id| [id.to_string(), spell(&tokenizer, id)]).collect();
    output::table(&rows)
}

/// Tokens as `tokenize --json` prints them.
#[derive(Serialize)]
struct Tokens {
    ids: Vec<u32>,
}

/// A token's text in quotes; bytes that are no whole character are written as `\xEC`.
fn spell(tokenizer: &Tokenizer, id: u32) -> String {
    let mut text = String::from("\"");
    for chunk in tokenizer.token_bytes_with_special(id).utf8_chunks() {
        text.extend(chunk.valid().chars().flat_map(char::escape_debug));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
    }
    text + "\""
}
