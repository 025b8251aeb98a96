//! `run-model import FILE`

use std::path::Path;

use silhak::gguf;
use silhak::{Error, ModelError, ModelFile};
use silhak_store::ImportOptions;

use crate::cli::ImportArgs;
use crate::context::Context;
use crate::messages::{self, Lang};
use crate::output;
use crate::progress::Reporter;

pub(crate) fn run(args: &ImportArgs, context: &Context) -> anyhow::Result<()> {
    let name = args.name.as_deref().map(str::parse).transpose()?;
    let options = ImportOptions { name, link: args.link, replace: args.replace, licence: None };
    check(&args.file, context.lang)?;
    let mut reporter = Reporter::new(context.lang);
    let imported = context.store.import(&args.file, &options, &mut reporter.monitor());
    reporter.finish();
    let manifest = imported?;
    output::note(&context.lang.ready(manifest.name.as_str(), manifest.size()));
    Ok(())
}

/// Refuses a file that no release could load. One that a later release may run is told of and welcome.
fn check(path: &Path, lang: Lang) -> Result<(), Error> {
    use ModelError as M;
    match ModelFile::open(path) {
        // Of files that are not there or are no GGUF, the store tells itself.
        Err(Error::File { source, .. })
            if matches!(
                source.root(),
                gguf::Error::Io { .. } | gguf::Error::NotAFile | gguf::Error::NotGguf { .. }
            ) =>
        {
            Ok(())
        }
        Err(
            error @ Error::Model(M::UnknownArchitecture { .. } | M::UnsupportedVariant { .. } | M::TensorType { .. }),
        ) => {
            output::note(&messages::explain_engine(lang, &error));
            Ok(())
        }
        opened => opened.map(drop),
    }
}
