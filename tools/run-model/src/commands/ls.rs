//! `run-model ls`

use serde::Serialize;
use silhak_store::{Licence, Manifest, ModelFile, Source};

use crate::cli::LsArgs;
use crate::context::Context;
use crate::messages::{self, Lang};
use crate::output;

pub(crate) fn run(args: &LsArgs, context: &Context) -> anyhow::Result<()> {
    match (args.available, args.json) {
        (false, json) => installed(context, json),
        (true, false) => available(context),
        (true, true) => output::json(&available_as_json(context)),
    }
}

/// What is in the store. Entries that cannot be read are told of on stderr and hide no others.
fn installed(context: &Context, json: bool) -> anyhow::Result<()> {
    let mut models = Vec::new();
    for model in context.store.list()? {
        match model {
            Ok(manifest) => models.push(manifest),
            Err(error) => output::note(&messages::store_error(context.lang, &error)),
        }
    }
    if json {
        return output::json(&models.iter().map(Installed::from).collect::<Vec<_>>());
    }
    if models.is_empty() {
        output::note(context.lang.store_is_empty());
        return Ok(());
    }
    let mut rows = vec![context.lang.list_heads().map(str::to_owned)];
    rows.extend(models.iter().map(|model| {
        let licence = model.licence.as_ref().map_or(context.lang.unknown_licence(), |licence| &licence.name);
        [model.name.to_string(), output::bytes(model.size()), licence.to_owned(), model.added.clone()]
    }));
    output::table(&rows)
}

fn available(context: &Context) -> anyhow::Result<()> {
    let mut rows = vec![context.lang.available_heads().map(str::to_owned)];
    rows.extend(context.catalogue.aliases().map(|(name, models)| {
        let names: Vec<_> = models.iter().map(|name| name.as_str()).collect();
        [name.to_string(), String::new(), context.lang.first_reachable_of(&names.join(", "))]
    }));
    rows.extend(context.catalogue.models().iter().map(|entry| {
        let description = match context.lang {
            Lang::Ko => &entry.description.ko,
            Lang::En => &entry.description.en,
        };
        [entry.name.to_string(), entry.licence.name.clone(), description.clone()]
    }));
    output::table(&rows)
}

/// A model in the store, as `ls --json` and `show --json` print it.
#[derive(Serialize)]
pub(crate) struct Installed<'a> {
    name: &'a str,
    size: u64,
    licence: Option<&'a Licence>,
    source: &'a str,
    added: &'a str,
    files: &'a [ModelFile],
}

impl<'a> From<&'a Manifest> for Installed<'a> {
    fn from(manifest: &'a Manifest) -> Self {
        Self {
            name: manifest.name.as_str(),
            size: manifest.size(),
            licence: manifest.licence.as_ref(),
            source: &manifest.source,
            added: &manifest.added,
            files: &manifest.files,
        }
    }
}

/// The catalogue, as `ls --available --json` prints it.
#[derive(Serialize)]
struct Available<'a> {
    models: Vec<AvailableModel<'a>>,
    aliases: Vec<AvailableAlias<'a>>,
}

#[derive(Serialize)]
struct AvailableModel<'a> {
    name: &'a str,
    architecture: &'a str,
    description_ko: &'a str,
    description_en: &'a str,
    licence: &'a Licence,
    size: Option<u64>,
    sha256: Option<String>,
    sources: Vec<String>,
    installed: bool,
}

#[derive(Serialize)]
struct AvailableAlias<'a> {
    name: &'a str,
    models: Vec<&'a str>,
}

fn available_as_json(context: &Context) -> Available<'_> {
    let models = context.catalogue.models().iter().map(|entry| AvailableModel {
        name: entry.name.as_str(),
        architecture: &entry.architecture,
        description_ko: &entry.description.ko,
        description_en: &entry.description.en,
        licence: &entry.licence,
        size: entry.size,
        sha256: entry.sha256.map(|digest| digest.to_string()),
        sources: entry.sources.iter().map(Source::describe).collect(),
        installed: context.store.get(&entry.name).is_ok(),
    });
    let aliases = context.catalogue.aliases().map(|(name, models)| AvailableAlias {
        name: name.as_str(),
        models: models.iter().map(|name| name.as_str()).collect(),
    });
    Available { models: models.collect(), aliases: aliases.collect() }
}
