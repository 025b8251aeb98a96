//! `run-model rm NAME...`

use silhak_store::ModelName;

use crate::cli::RmArgs;
use crate::context::Context;
use crate::output;

pub(crate) fn run(args: &RmArgs, context: &Context) -> anyhow::Result<()> {
    // All names are checked before the first model goes.
    let names: Vec<ModelName> = args.names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    for name in names {
        let freed = context.store.remove(&name)?;
        output::note(&context.lang.removed(name.as_str(), freed));
    }
    Ok(())
}
