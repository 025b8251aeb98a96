//! `run-model import FILE`

use silhak_store::ImportOptions;

use crate::cli::ImportArgs;
use crate::context::Context;
use crate::output;
use crate::progress::Reporter;

pub(crate) fn run(args: &ImportArgs, context: &Context) -> anyhow::Result<()> {
    let name = args.name.as_deref().map(str::parse).transpose()?;
    let options = ImportOptions { name, link: args.link, replace: args.replace, licence: None };
    let mut reporter = Reporter::new(context.lang);
    let imported = context.store.import(&args.file, &options, &mut reporter.monitor());
    reporter.finish();
    let manifest = imported?;
    output::note(&context.lang.ready(manifest.name.as_str(), manifest.size()));
    Ok(())
}
