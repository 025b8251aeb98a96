//! `run-model pull NAME`

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::bail;
use silhak_store::{Entry, Manifest, ModelName, PullOptions, StoreError};

use crate::cli::{ConsentArgs, PullArgs};
use crate::context::Context;
use crate::messages::Lang;
use crate::output;
use crate::progress::Reporter;

pub(crate) fn run(args: &PullArgs, context: &Context) -> anyhow::Result<()> {
    pull(&args.name.parse()?, &args.consent, context).map(drop)
}

/// Fetches what `name` stands for: of an alias, the first model that can be had.
pub(crate) fn pull(name: &ModelName, consent: &ConsentArgs, context: &Context) -> anyhow::Result<Manifest> {
    let candidates = context.catalogue.candidates(name)?;
    let mut failures = Vec::new();
    for entry in candidates {
        introduce(entry, context.lang);
        obtain_consent(entry, consent, context.lang)?;
        let mut reporter = Reporter::new(context.lang);
        let pulled = context.store.pull(entry, &PullOptions::from_env(), &mut reporter.monitor());
        reporter.finish();
        match pulled {
            Ok(manifest) => {
                output::note(&context.lang.ready(manifest.name.as_str(), manifest.size()));
                if entry.english_only && entry.name != *name {
                    output::note(&context.lang.english_only(manifest.name.as_str()));
                }
                return Ok(manifest);
            }
            // Each source has said why as it failed; the next candidate has its turn.
            Err(StoreError::AllSourcesFailed { failures: more, .. }) => failures.extend(more),
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::AllSourcesFailed { name: name.clone(), failures }.into())
}

/// Says what the model is and under which licence it comes, before anything is fetched.
fn introduce(entry: &Entry, lang: Lang) {
    let description = match lang {
        Lang::Ko => &entry.description.ko,
        Lang::En => &entry.description.en,
    };
    output::note(&format!("{}: {description}", entry.name));
    output::note(&lang.licence(&entry.licence.name, &entry.licence.url));
    if entry.licence.restricted {
        output::note(lang.restricted());
    }
    if !runs(entry) {
        output::note(&lang.not_supported_yet(&entry.architecture));
    }
}

/// Asks where there is something to agree to and somebody to ask.
fn obtain_consent(entry: &Entry, consent: &ConsentArgs, lang: Lang) -> anyhow::Result<()> {
    if consent.yes || (!entry.licence.restricted && runs(entry)) {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        bail!(lang.consent_needed());
    }
    write!(io::stderr(), "{}", lang.ask_consent())?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" | "예" | "네" | "ㅛ" => Ok(()),
        _ => bail!(lang.not_agreed()),
    }
}

fn runs(entry: &Entry) -> bool {
    silhak::architectures().any(|name| name == entry.architecture)
}
