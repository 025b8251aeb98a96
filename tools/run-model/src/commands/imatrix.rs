//! `run-model imatrix MODEL TEXT -o FILE`

use anyhow::bail;
use silhak::{InputSquares, LoadOptions, ModelFile, Special};
use silhak_convert::{Importance, Sums, Text};

use crate::cli::ImatrixArgs;
use crate::context::Context;
use crate::progress::Writing;
use crate::{engine, output};

pub(crate) fn run(args: &ImatrixArgs, context: &Context) -> anyhow::Result<()> {
    let lang = context.lang;
    let text = args.input.read(lang)?;
    let file = ModelFile::open(engine::find(&args.model, context)?)?;
    let tokenizer = file.tokenizer(None)?;
    let tokens = tokenizer.with_bos(tokenizer.encode(&text, Special::Ignore));
    // A short rest has seen too little of its text to stand for it.
    let chunks: Vec<&[u32]> = tokens.chunks_exact(args.chunk as usize).collect();
    if chunks.is_empty() {
        bail!(lang.text_too_short(tokens.len(), args.chunk as usize));
    }
    let options = LoadOptions { threads: args.threads, ..LoadOptions::default() };
    let reading = Writing::start(lang)?;
    let n_chunks = chunks.len();
    let squares = file.input_squares(&chunks, &options, &mut |done| reading.hear(done as u64, n_chunks as u64));
    drop(reading);
    let n_tokens = (n_chunks * args.chunk as usize) as u64;
    let sums = |InputSquares { tensor, sums, counts }| Sums { tensor, sums, counts };
    let sums: Vec<Sums> = squares?.into_iter().map(sums).collect();
    let name = args.input.file.as_ref().map_or_else(|| "text".into(), |path| path.display().to_string());
    Importance::write(&args.output, &sums, &Text { name, n_chunks: n_chunks as u32, chunk_len: args.chunk })?;
    output::note(&lang.measured_importance(&args.output, sums.len(), n_tokens));
    Ok(())
}
