//! `run-model show MODEL`

use serde::Serialize;
use silhak_store::Resolved;

use super::ls::Installed;
use crate::cli::ShowArgs;
use crate::context::Context;
use crate::facts::Facts;
use crate::messages::{self, Lang};
use crate::{engine, output};

pub(crate) fn run(args: &ShowArgs, context: &Context) -> anyhow::Result<()> {
    let resolved = context.store.resolve(&args.model, &context.catalogue)?;
    // A file that cannot be read is shown as far as the store knows it, and said to be broken.
    let facts = engine::open(&resolved.path).map(|gguf| (Facts::of(&gguf), gguf.file_bytes()));
    let facts = facts.inspect_err(|error| output::note(&messages::explain_engine(context.lang, error))).ok();
    if args.json {
        let stored = resolved.manifest.as_ref().map(Installed::from);
        let facts = facts.map(|(facts, _)| facts);
        output::json(&Shown { path: resolved.path.display().to_string(), stored, facts })
    } else {
        let mut rows = of_store(&resolved, context.lang);
        if let Some((facts, bytes)) = facts {
            rows.extend(of_file(&facts, resolved.manifest.is_none().then_some(bytes), context.lang));
        }
        output::table(&rows)
    }
}

/// A model as `show --json` prints it.
#[derive(Serialize)]
struct Shown<'a> {
    path: String,
    #[serde(flatten)]
    stored: Option<Installed<'a>>,
    /// What the file says of itself; `null` if it cannot be read.
    #[serde(rename = "model")]
    facts: Option<Facts>,
}

fn of_store(resolved: &Resolved, lang: Lang) -> Vec<[String; 2]> {
    let [name, size, licence, source, added, digest, file] = lang.facts_heads().map(str::to_owned);
    let path = resolved.path.display().to_string();
    let Some(manifest) = &resolved.manifest else { return vec![[file, path]] };
    let terms = manifest
        .licence
        .as_ref()
        .map_or_else(|| lang.unknown_licence().to_owned(), |licence| format!("{} <{}>", licence.name, licence.url));
    let mut rows = vec![
        [name, manifest.name.to_string()],
        [size, output::bytes(manifest.size())],
        [licence, terms],
        [source, manifest.source.clone()],
        [added, manifest.added.clone()],
    ];
    rows.extend(manifest.files.iter().map(|part| [digest.clone(), part.sha256.to_string()]));
    rows.push([file, path]);
    rows
}

fn of_file(facts: &Facts, bytes: Option<u64>, lang: Lang) -> Vec<[String; 2]> {
    let [_, size, ..] = lang.facts_heads();
    let [title, architecture, parameters, context, types, template, sampling, licence] = lang.model_heads();
    let mut rows = Vec::new();
    let mut add = |head: &str, value: Option<String>| rows.extend(value.map(|value| [head.to_owned(), value]));
    let runs = |name: &String| if facts.runs { name.clone() } else { format!("{name} ({})", lang.does_not_run()) };
    add(size, bytes.map(output::bytes));
    add(title, facts.title.clone());
    add(architecture, facts.architecture.as_ref().map(runs));
    add(parameters, Some(output::count(facts.parameters)));
    add(context, facts.context_length.map(|n| n.to_string()));
    add(types, Some(facts.mix()));
    add(template, Some(lang.has_template(facts.chat_template, facts.builtin_template).to_owned()));
    add(sampling, facts.sampling.flags());
    add(licence, facts.licence.clone());
    rows
}
