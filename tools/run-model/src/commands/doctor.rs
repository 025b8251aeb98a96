//! `run-model doctor`

use std::thread;

use serde::Serialize;
use silhak::Device;
use silhak::cpu::{Caps, Isa};

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::messages::Lang;
use crate::output;
use crate::system::{self, Memory};

pub(crate) fn run(args: &DoctorArgs, context: &Context) -> anyhow::Result<()> {
    let found = Caps::detect().isa();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        cpu: system::cpu_name(),
        cpu_features: system::cpu_features(),
        logical_cpus: thread::available_parallelism().ok().map(usize::from),
        total_memory: Memory::now().total,
        available_memory: Memory::now().available,
        gpus: [],
        store: context.store.root().display().to_string(),
        uses: Choice {
            device: if args.device.device == Device::Auto { Device::Cpu } else { args.device.device }.to_string(),
            isa: args.device.isa.unwrap_or(found).min(found).name(),
            threads: args.device.n_threads(),
        },
    };
    if args.json { output::json(&report) } else { report.print(context.lang) }
}

/// A machine as `doctor --json` prints it; what is not known is `null`.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
    cpu: Option<String>,
    cpu_features: Vec<&'static str>,
    logical_cpus: Option<usize>,
    total_memory: Option<u64>,
    available_memory: Option<u64>,
    /// This build has no code for any.
    gpus: [String; 0],
    store: String,
    uses: Choice,
}

/// What a model would run on.
#[derive(Serialize)]
struct Choice {
    device: String,
    isa: &'static str,
    threads: usize,
}

impl Report {
    fn print(&self, lang: Lang) -> anyhow::Result<()> {
        let [system, cpu, features, threads, memory, gpu, store, uses] = lang.doctor_heads().map(str::to_owned);
        let or_unknown = |value: Option<String>| value.unwrap_or_else(|| lang.unknown().to_owned());
        let bytes = |count: Option<u64>| or_unknown(count.map(output::bytes));
        let isas = Isa::ALL.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
        output::table(&[
            [system, format!("{} {} (run-model {})", self.os, self.arch, self.version)],
            [cpu, or_unknown(self.cpu.clone())],
            [features, self.cpu_features.join(" ")],
            [threads, or_unknown(self.logical_cpus.map(|n| n.to_string()))],
            [memory, lang.memory(&bytes(self.total_memory), &bytes(self.available_memory))],
            [gpu, lang.no_gpu().to_owned()],
            [store, self.store.clone()],
            [uses, lang.choice(&self.uses.device, self.uses.isa, &isas, self.uses.threads)],
        ])
    }
}
