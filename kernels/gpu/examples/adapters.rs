//! Lists the GPUs of this machine, the one that is chosen first: `cargo run -p silhak-gpu --example adapters`.
//!
//! A line each, in columns apart by tabs: name, kind, API, driver, subgroup sizes, half floats,
//! size of cooperative matrices.

#![allow(clippy::print_stdout, reason = "a command talks to its user")]

use silhak_gpu::adapters;

fn main() {
    for gpu in adapters() {
        let subgroups = match gpu.subgroup_sizes {
            Some((least, most)) if least == most => most.to_string(),
            Some((least, most)) => format!("{least} to {most}"),
            None => "none".to_owned(),
        };
        let f16 = if gpu.f16 { "yes" } else { "no" };
        let matrices = gpu.cooperative_matrix.map_or_else(|| "none".to_owned(), |size| size.to_string());
        println!("{}\t{}\t{}\t{}\t{subgroups}\t{f16}\t{matrices}", gpu.name, gpu.kind, gpu.api, gpu.driver);
    }
}
