//! `docs/models.md` and `docs/models.ko.md` are what these modules make of `families.toml`, of the catalogue, and of what the
//! true shapes take in memory. `cargo xtask models` writes them; the test tells when they are out of date.

mod family;
mod fits;
mod page;

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use family::Family;
use page::Lang;
use silhak_synth::Preset;

/// The pages, as they should be.
fn pages() -> [(&'static str, String); 2] {
    let families = Family::all();
    let fits = fits::of(&families);
    [Lang::En, Lang::Ko].map(|lang| (lang.file_name(), page::text(lang, &families, &fits)))
}

#[test]
fn the_pages_are_up_to_date() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (name, text) in pages() {
        let path = docs.join(name);
        if env::var_os("SILHAK_WRITE_PAGES").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "docs/{name} is out of date: `cargo xtask models` writes it anew");
    }
}

#[test]
fn every_family_names_what_there_is() {
    let families = Family::all();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let architectures: Vec<&str> = silhak::architectures().collect();
    let catalogue = family::catalogue();
    for family in &families {
        assert!(architectures.contains(&&*family.architecture), "{}: {}", family.name, family.architecture);
        for preset in &family.presets {
            assert_eq!(Preset::find(preset).unwrap().shape.architecture, family.architecture, "{preset}");
        }
        for fixture in &family.fixtures {
            assert!(fixtures.join(fixture).join("golden.safetensors").is_file(), "{}: {fixture}", family.name);
        }
        for name in &family.pull {
            let entry = catalogue.models().iter().find(|entry| entry.name.to_string() == *name).unwrap();
            assert_eq!(entry.architecture, family.architecture, "{name}");
        }
    }
    // Nothing Korean in the catalogue or among the presets is left out.
    let pulled: BTreeSet<String> = families.iter().flat_map(|family| family.pull.clone()).collect();
    let offered = catalogue.models().iter().map(|entry| entry.name.to_string());
    assert_eq!(pulled, offered.filter(|name| name.starts_with("exaone")).collect());
    let shown: Vec<_> = families.iter().flat_map(|family| family.presets.iter().map(String::as_str)).collect();
    let peers = ["llama-1b", "qwen2-7b", "qwen2-32b"];
    for preset in Preset::ALL {
        assert!(shown.contains(&preset.name) != peers.contains(&preset.name), "{}", preset.name);
    }
}
