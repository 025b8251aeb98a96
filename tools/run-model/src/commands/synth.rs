//! `run-model synth PRESET -o FILE`

use std::num::NonZero;
use std::path::Path;
use std::thread;
use std::time::Instant;

use serde::Serialize;
use silhak_synth::{Draft, Error, Preset, Progress};

use crate::cli::SynthArgs;
use crate::context::Context;
use crate::messages::Lang;
use crate::output;
use crate::progress::Writing;

pub(crate) fn run(args: &SynthArgs, context: &Context) -> anyhow::Result<()> {
    // Without `--list` the command line demands both.
    let (Some(preset), Some(path)) = (args.preset, &args.output) else { return list(args, context.lang) };
    let draft = draft(preset, args)?;
    let started = Instant::now();
    let bytes = save(&draft, path, context.lang)?;
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        return output::json(&Written {
            path,
            model: Facts::new(preset, args, &draft, bytes),
            seed: args.seed,
            seconds,
        });
    }
    output::note(&context.lang.written(path, bytes, seconds));
    Ok(())
}

fn draft(preset: &Preset, args: &SynthArgs) -> Result<Draft, Error> {
    let n_layers = args.layers.map_or(preset.shape.n_layers, |n| n as usize);
    let mut draft = Draft::new(&preset.shape.with_layers(n_layers), args.mix, args.seed)?;
    let name = format!("{} with random weights", preset.model);
    draft.metadata.insert("general.name".into(), name.into());
    Ok(draft)
}

/// Writes the file, with a bar where stderr is a terminal. Ctrl-C leaves nothing of it.
fn save(draft: &Draft, path: &Path, lang: Lang) -> anyhow::Result<u64> {
    let writing = Writing::start(lang)?;
    let n_threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    Ok(draft.save(path, n_threads, &mut |Progress { done, total }| writing.hear(done, total))?)
}

fn list(args: &SynthArgs, lang: Lang) -> anyhow::Result<()> {
    let mut models = Vec::new();
    for preset in Preset::ALL {
        let draft = draft(preset, args)?;
        models.push(Facts::new(preset, args, &draft, draft.file_bytes()?));
    }
    if args.json {
        return output::json(&models);
    }
    let mut rows = vec![lang.preset_heads().map(str::to_owned)];
    rows.extend(models.iter().map(|facts| {
        [
            facts.preset.to_owned(),
            facts.shape_of.to_owned(),
            facts.architecture.to_owned(),
            facts.n_layers.to_string(),
            output::count(facts.parameters),
            format!("{} ({})", output::bytes(facts.bytes), facts.ty),
        ]
    }));
    output::table(&rows)
}

/// A model that was written, as `synth --json` prints it.
#[derive(Serialize)]
struct Written<'a> {
    path: &'a Path,
    #[serde(flatten)]
    model: Facts<'a>,
    seed: u64,
    seconds: f64,
}

/// A model that can be written, as `synth --list --json` prints it.
#[derive(Serialize)]
struct Facts<'a> {
    preset: &'a str,
    shape_of: &'a str,
    architecture: &'a str,
    n_layers: usize,
    parameters: u64,
    #[serde(rename = "type")]
    ty: &'static str,
    bytes: u64,
}

impl<'a> Facts<'a> {
    fn new(preset: &'a Preset, args: &SynthArgs, draft: &Draft, bytes: u64) -> Self {
        Facts {
            preset: preset.name,
            shape_of: preset.model,
            architecture: preset.shape.architecture,
            n_layers: args.layers.map_or(preset.shape.n_layers, |n| n as usize),
            parameters: draft.n_parameters(),
            ty: args.mix.name(),
            bytes,
        }
    }
}
