//! `run-model doctor`

use std::thread;

use serde::Serialize;
use silhak::cpu::{Caps, Isa};
use silhak::{Device, SystemMemory};

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::gpus::GpuReport;
use crate::messages::Lang;
use crate::output;
use crate::system;

pub(crate) fn run(args: &DoctorArgs, context: &Context) -> anyhow::Result<()> {
    let found = Caps::detect().isa();
    let adapter = silhak::adapter_for(&args.device.load_options()).map(|adapter| adapter.name);
    let device = match args.device.device {
        Device::Auto if adapter.is_some() => Device::Gpu,
        Device::Auto => Device::Cpu,
        asked => asked,
    };
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        cpu: system::cpu_name(),
        cpu_features: system::cpu_features(),
        logical_cpus: thread::available_parallelism().ok().map(usize::from),
        total_memory: SystemMemory::now().total,
        available_memory: SystemMemory::now().available,
        gpus: silhak::adapters().into_iter().map(GpuReport::from).collect(),
        store: context.store.root().display().to_string(),
        uses: Choice {
            device: device.to_string(),
            adapter,
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
    gpus: Vec<GpuReport>,
    store: String,
    uses: Choice,
}

/// What a model would run on.
#[derive(Serialize)]
struct Choice {
    device: String,
    /// The GPU's name; `null` where none is used.
    adapter: Option<String>,
    isa: &'static str,
    threads: usize,
}

impl Report {
    fn print(&self, lang: Lang) -> anyhow::Result<()> {
        let [system, cpu, features, threads, memory, gpu, store, uses] = lang.doctor_heads().map(str::to_owned);
        let or_unknown = |value: Option<String>| value.unwrap_or_else(|| lang.unknown().to_owned());
        let bytes = |count: Option<u64>| or_unknown(count.map(output::bytes));
        let isas = Isa::ALL.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
        let mut rows = vec![
            [system, format!("{} {} (run-model {})", self.os, self.arch, self.version)],
            [cpu, or_unknown(self.cpu.clone())],
            [features, self.cpu_features.join(" ")],
            [threads, or_unknown(self.logical_cpus.map(|n| n.to_string()))],
            [memory, lang.memory(&bytes(self.total_memory), &bytes(self.available_memory))],
        ];
        if self.gpus.is_empty() {
            rows.push([gpu.clone(), lang.no_gpu().to_owned()]);
        }
        for found in &self.gpus {
            rows.push([gpu.clone(), lang.gpu(found, &bytes(found.memory_bytes))]);
            rows.extend(found.lacks.iter().map(|&lack| [String::new(), format!("- {}", lang.lack(lack, found))]));
        }
        let Choice { device, adapter, isa, threads } = &self.uses;
        let device = adapter.as_ref().map_or_else(|| device.clone(), |adapter| format!("{device} ({adapter})"));
        rows.push([store, self.store.clone()]);
        rows.push([uses, lang.choice(&device, isa, &isas, *threads)]);
        output::table(&rows)
    }
}
