//! `run-model verify MODEL...`

use std::path::Path;

use anyhow::bail;
use silhak_store::{ModelName, StoreError, hash_file};

use crate::cli::VerifyArgs;
use crate::context::Context;
use crate::messages;
use crate::output;
use crate::progress::Reporter;

/// Verifies each model, the bad ones included in the same run; for a path, prints the SHA-256 like `sha256sum`.
pub(crate) fn run(args: &VerifyArgs, context: &Context) -> anyhow::Result<()> {
    let models = if args.all { all(context)? } else { args.models.clone() };
    let mut failed = 0;
    for model in &models {
        let mut reporter = Reporter::new(context.lang);
        let verified = verify(model, context, &mut reporter);
        reporter.finish();
        match verified {
            Ok(line) => output::line(&line)?,
            Err(error) if models.len() == 1 => return Err(error.into()),
            Err(error) => {
                failed += 1;
                output::note(&format!("{model}: {}", messages::store_error(context.lang, &error)));
            }
        }
    }
    if failed > 0 {
        bail!(context.lang.some_failed(failed));
    }
    Ok(())
}

fn verify(model: &str, context: &Context, reporter: &mut Reporter) -> Result<String, StoreError> {
    match context.store.resolve(model, &context.catalogue)?.manifest {
        Some(manifest) => {
            context.store.verify(&manifest.name, &mut reporter.monitor())?;
            Ok(context.lang.verified(manifest.name.as_str()))
        }
        None => {
            let digest = hash_file(Path::new(model), &mut reporter.monitor())?;
            Ok(format!("{digest}  {model}"))
        }
    }
}

fn all(context: &Context) -> Result<Vec<String>, StoreError> {
    let name = |model: silhak_store::Result<silhak_store::Manifest>| match model {
        Ok(manifest) => Some(manifest.name),
        Err(StoreError::BadManifest { name, .. }) => name.parse::<ModelName>().ok(),
        Err(_) => None,
    };
    Ok(context.store.list()?.into_iter().filter_map(name).map(String::from).collect())
}
