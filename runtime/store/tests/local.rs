//! Importing, listing, removing, verifying and sweeping.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail and tell like tests")]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use silhak_store::{
    CancelToken, Catalogue, Damage, Event, ImportOptions, Manifest, ModelName, Monitor, Phase, Store, StoreError,
};
use support::gguf_like;
use tempfile::TempDir;

struct Setup {
    home: TempDir,
    outside: TempDir,
    store: Store,
}

fn setup() -> Setup {
    let home = tempfile::tempdir().unwrap();
    Setup { store: Store::open(home.path().join("store")), home, outside: tempfile::tempdir().unwrap() }
}

impl Setup {
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.outside.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn import(&self, path: &Path, options: ImportOptions) -> Result<Manifest, StoreError> {
        self.store.import(path, &options, &mut Monitor::silent())
    }

    fn blobs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.store.root().join("blobs")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

fn named(text: &str) -> ImportOptions {
    ImportOptions { name: Some(name(text)), ..ImportOptions::default() }
}

fn replacing(text: &str) -> ImportOptions {
    ImportOptions { replace: true, ..named(text) }
}

#[test]
fn looking_into_an_empty_store_makes_nothing() {
    let setup = setup();
    assert!(setup.store.list().unwrap().is_empty());
    assert!(matches!(setup.store.get(&name("x")), Err(StoreError::NotFound { .. })));
    assert_eq!(setup.store.sweep(Duration::ZERO).unwrap().entries, 0);
    assert_eq!(fs::read_dir(setup.home.path()).unwrap().count(), 0);
}

#[test]
fn import_list_resolve_verify_remove() {
    let setup = setup();
    let content = gguf_like(1_000_000, 1);
    let path = setup.file("My Model.Q4_0.gguf", &content);
    let manifest = setup.import(&path, ImportOptions::default()).unwrap();
    assert_eq!(manifest.name.as_str(), "my-model.q4_0");
    assert_eq!(manifest.files[0].sha256.to_string(), support::sha256(&content));
    assert_eq!(setup.store.list().unwrap().remove(0).unwrap(), manifest);
    let found = setup.store.resolve("my-model.q4_0", &Catalogue::default()).unwrap();
    assert_eq!(fs::read(&found.path).unwrap(), content);
    setup.store.verify(&manifest.name, &mut Monitor::silent()).unwrap();
    assert_eq!(setup.store.remove(&manifest.name).unwrap(), 1_000_000);
    assert!(setup.store.list().unwrap().is_empty() && setup.blobs().is_empty() && path.exists());
}

#[test]
fn one_content_under_two_names_is_stored_once_and_lives_until_both_are_gone() {
    let setup = setup();
    let path = setup.file("a.gguf", &gguf_like(1000, 2));
    setup.import(&path, named("one")).unwrap();
    setup.import(&path, named("two:tag")).unwrap();
    assert_eq!(setup.blobs().len(), 1);
    assert_eq!(setup.store.remove(&name("one")).unwrap(), 0);
    setup.store.verify(&name("two:tag"), &mut Monitor::silent()).unwrap();
    assert_eq!(setup.store.remove(&name("two:tag")).unwrap(), 1000);
    assert!(setup.blobs().is_empty());
}

#[test]
fn importing_under_a_known_name_replaces_and_frees_only_when_told_to() {
    let setup = setup();
    let first = setup.file("a.gguf", &gguf_like(1000, 3));
    setup.import(&first, named("m")).unwrap();
    for (len, seed) in [(2000, 4), (1000, 5)] {
        let other = setup.file("b.gguf", &gguf_like(len, seed));
        let error = setup.import(&other, named("m")).unwrap_err();
        assert!(matches!(&error, StoreError::NameTaken { name } if name.as_str() == "m"), "{error}");
        setup.import(&first, named("m")).expect("the same content again");
        setup.store.verify(&name("m"), &mut Monitor::silent()).unwrap();
        assert_eq!(setup.blobs().len(), 1);
    }
    setup.import(&setup.file("b.gguf", &gguf_like(2000, 4)), replacing("m")).unwrap();
    assert_eq!((setup.blobs().len(), setup.store.get(&name("m")).unwrap().size()), (1, 2000));
}

#[test]
fn hard_links_take_no_room_and_change_with_the_original() {
    let setup = setup();
    let path = setup.file("a.gguf", &gguf_like(100_000, 5));
    let link = |model| setup.import(&path, ImportOptions { link: true, ..named(model) });
    link("m").unwrap();
    link("m").unwrap();
    assert_eq!(setup.blobs().len(), 1, "linking twice left {:?}", setup.blobs());
    setup.store.verify(&name("m"), &mut Monitor::silent()).unwrap();
    let mut original = fs::OpenOptions::new().write(true).open(&path).unwrap();
    original.write_all(b"GGUF changed").unwrap();
    let error = setup.store.verify(&name("m"), &mut Monitor::silent()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { what: Damage::Content, .. }), "{error}");
}

#[test]
fn waiting_for_a_linked_file_keeps_nobody_else_waiting() {
    let setup = setup();
    let path = setup.file("a.gguf", &gguf_like(1000, 40));
    let held = fs::File::open(&path).unwrap();
    held.lock().unwrap();
    let (store, original) = (setup.store.clone(), path.clone());
    let (tell, told) = std::sync::mpsc::channel();
    let linking = std::thread::spawn(move || {
        let listen = move |event: Event<'_>| {
            if matches!(event, Event::Waiting) {
                tell.send(()).unwrap();
            }
        };
        let options = ImportOptions { link: true, ..named("linked") };
        store.import(&original, &options, &mut Monitor::new(listen, CancelToken::new()))
    });
    told.recv_timeout(Duration::from_secs(20)).expect("it waits where it can be heard, without the store's lock");
    setup.import(&setup.file("b.gguf", &gguf_like(2000, 41)), named("other")).unwrap();
    drop(held);
    linking.join().unwrap().unwrap();
    assert_eq!((setup.store.list().unwrap().len(), setup.blobs().len()), (2, 2));
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_imported_as_the_file_it_leads_to() {
    let setup = setup();
    setup.file("real.gguf", &gguf_like(1000, 42));
    let symbolic = setup.outside.path().join("m.gguf");
    std::os::unix::fs::symlink("real.gguf", &symbolic).unwrap();
    setup.import(&symbolic, ImportOptions { link: true, ..ImportOptions::default() }).unwrap();
    assert!(fs::symlink_metadata(setup.blobs().remove(0)).unwrap().is_file());
}

/// `/proc` leads to files that have no name any more, which can be read but not linked.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_linked_is_refused_before_it_is_read() {
    use std::os::fd::AsRawFd;

    let setup = setup();
    let path = setup.file("a.gguf", &gguf_like(1000, 43));
    let file = fs::File::open(&path).unwrap();
    fs::remove_file(path).unwrap();
    let nameless = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let mut heard = 0;
    let mut monitor = Monitor::new(|_| heard += 1, CancelToken::new());
    let result = setup.store.import(&nameless, &ImportOptions { link: true, ..named("m") }, &mut monitor);
    drop(monitor);
    assert!(matches!(result, Err(StoreError::CannotLink { .. })), "{result:?}");
    assert!(heard == 0 && setup.blobs().is_empty());
    setup.import(&nameless, named("m")).unwrap();
}

#[test]
fn split_models_are_imported_whole_and_found_by_their_first_shard() {
    let setup = setup();
    let contents: Vec<_> = (0..3).map(|i| gguf_like(1000 + i, 10 + i as u64)).collect();
    let path = |i: usize| format!("big-0000{}-of-00003.gguf", i + 1);
    let paths: Vec<_> = contents.iter().enumerate().map(|(i, content)| setup.file(&path(i), content)).collect();
    let manifest = setup.import(&paths[1], ImportOptions::default()).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.files.len()), ("big", 3));
    let found = setup.store.resolve("big", &Catalogue::default()).unwrap();
    assert!(found.path.ends_with(path(0)));
    for (i, content) in contents.iter().enumerate() {
        assert_eq!(fs::read(found.path.with_file_name(path(i))).unwrap(), *content);
    }
    // Lost links come back.
    fs::remove_dir_all(found.path.parent().unwrap()).unwrap();
    assert!(setup.store.resolve("big", &Catalogue::default()).unwrap().path.is_file());
    setup.store.verify(&name("big"), &mut Monitor::silent()).unwrap();
    setup.store.remove(&name("big")).unwrap();
    assert!(!found.path.exists() && setup.blobs().is_empty());

    fs::remove_file(&paths[2]).unwrap();
    let error = setup.import(&paths[0], ImportOptions::default()).unwrap_err();
    assert!(matches!(&error, StoreError::MissingShard { count: 3, missing } if *missing == path(2)), "{error}");
    assert!(setup.blobs().is_empty());
}

#[test]
fn a_replaced_split_model_leads_to_the_new_files() {
    let setup = setup();
    let import = |seed: u64| {
        let content = |i: u64| gguf_like(1000, 100 * seed + 2 * i);
        let paths = [1, 2].map(|i| setup.file(&format!("m-0000{i}-of-00002.gguf"), &content(i)));
        setup.import(&paths[0], replacing("m")).unwrap();
        [1, 2].map(content)
    };
    let shards = || {
        let first = setup.store.resolve("m", &Catalogue::default()).unwrap().path;
        [1, 2].map(|i| fs::read(first.with_file_name(format!("m-0000{i}-of-00002.gguf"))).unwrap())
    };
    let splits = || fs::read_dir(setup.store.root().join("splits")).unwrap().count();
    assert_eq!(import(1), shards());
    assert_eq!(import(2), shards(), "the same sizes and names, another content");
    assert_eq!((splits(), setup.blobs().len()), (1, 2));

    // The same content again, over a file that was damaged without changing its size.
    let damaged = setup.store.resolve("m", &Catalogue::default()).unwrap().path;
    fs::write(&damaged, gguf_like(1000, 9)).unwrap();
    assert_eq!(import(2), shards());

    setup.import(&setup.file("single.gguf", &gguf_like(500, 3)), replacing("m")).unwrap();
    assert_eq!((splits(), setup.blobs().len()), (0, 1));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_listed_is_not_kept() {
    let setup = setup();
    fs::create_dir_all(setup.store.root()).unwrap();
    // The links of a split model are made after its blobs and before its manifest.
    std::os::unix::fs::symlink("nowhere", setup.store.root().join("splits")).unwrap();
    let shared = gguf_like(1000, 31);
    setup.import(&setup.file("other.gguf", &shared), named("other")).unwrap();
    let path = setup.file("m-00001-of-00002.gguf", &shared);
    setup.file("m-00002-of-00002.gguf", &gguf_like(2000, 32));
    let error = setup.import(&path, ImportOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(setup.store.list().unwrap().len(), 1);
    assert_eq!(setup.blobs().len(), 1, "what the listed model uses stays, and nothing else");
    setup.store.verify(&name("other"), &mut Monitor::silent()).unwrap();
}

#[test]
fn what_is_no_model_is_refused() {
    let setup = setup();
    for content in [&b""[..], b"GGU", b"PK\x03\x04 a zip file"] {
        let error = setup.import(&setup.file("x.gguf", content), ImportOptions::default()).unwrap_err();
        assert!(matches!(error, StoreError::NotGguf { .. }), "{error}");
    }
    let error = setup.import(Path::new("nowhere/x.gguf"), ImportOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::NoSuchFile { .. }), "{error}");
    let error = setup.import(setup.outside.path(), ImportOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::IsFolder { .. }), "{error}");
    let error = setup.import(&setup.file("한국어.gguf", &gguf_like(100, 18)), ImportOptions::default()).unwrap_err();
    assert!(matches!(&error, StoreError::NoNameInFile { file } if file == "한국어.gguf"), "{error}");
    assert!(setup.blobs().is_empty());
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let setup = setup();
    let root = setup.file("a.gguf", &gguf_like(100, 19));
    let error = Store::open(&root).import(&root, &named("m"), &mut Monitor::silent()).unwrap_err();
    assert!(matches!(&error, StoreError::Folder { path, .. } if Path::new(path) == root), "{error}");
}

#[test]
fn damage_is_found() {
    let setup = setup();
    setup.import(&setup.file("a.gguf", &gguf_like(5000, 6)), named("m")).unwrap();
    let blob = setup.blobs().remove(0);
    let damage = |what: &str| {
        let error = setup.store.verify(&name("m"), &mut Monitor::silent()).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("run-model rm m"), "{error}");
        assert!(!error.contains("blobs"), "a path of the store is shown: {error}");
    };
    let mut content = fs::read(&blob).unwrap();
    content[4000] ^= 1;
    fs::write(&blob, &content).unwrap();
    damage("SHA-256");
    fs::write(&blob, &content[..4999]).unwrap();
    damage("4999 bytes instead of 5000");
    assert!(setup.store.resolve("m", &Catalogue::default()).is_err());
    fs::remove_file(&blob).unwrap();
    damage("gone");
}

#[test]
fn missing_models_come_with_advice() {
    let setup = setup();
    setup.import(&setup.file("a.gguf", &gguf_like(100, 7)), named("my-model")).unwrap();
    let catalogue = Catalogue::builtin().unwrap();
    for (asked, advice) in [
        ("smollm2-135m", "run-model pull smollm2-135m"),
        ("demo", "run-model pull demo"),
        ("my-modle", "did you mean 'my-model'?"),
        ("something-else", "run-model ls --available"),
        ("./no/such.gguf", "check the path"),
        ("../../etc/passwd", "check the path"),
        ("./", "is a folder"),
        ("Bad Name", "not a model name"),
    ] {
        let error = setup.store.resolve(asked, &catalogue).unwrap_err().to_string();
        assert!(error.contains(advice), "{asked}: {error}");
    }
}

#[test]
fn an_alias_is_the_first_of_its_models_that_is_here() {
    let setup = setup();
    let catalogue = Catalogue::builtin().unwrap();
    let demo = || setup.store.resolve("demo", &catalogue).unwrap().manifest.unwrap().name;
    setup.import(&setup.file("a.gguf", &gguf_like(100, 8)), named("smollm2-135m")).unwrap();
    assert_eq!(demo().as_str(), "smollm2-135m");
    setup.import(&setup.file("b.gguf", &gguf_like(100, 9)), named("qwen2.5-0.5b")).unwrap();
    assert_eq!(demo().as_str(), "qwen2.5-0.5b");
    setup.import(&setup.file("c.gguf", &gguf_like(100, 17)), named("demo")).unwrap();
    assert_eq!(demo().as_str(), "demo", "the user's own model of that name comes first");
}

#[test]
fn one_unreadable_entry_hides_no_other_and_can_be_removed() {
    let setup = setup();
    setup.import(&setup.file("a.gguf", &gguf_like(100, 10)), named("good")).unwrap();
    fs::write(setup.store.root().join("models/bad.toml"), "not = [toml").unwrap();
    let list = setup.store.list().unwrap();
    assert_eq!(list.iter().filter(|model| model.is_ok()).count(), 1);
    assert!(list.iter().any(|model| matches!(model, Err(StoreError::BadManifest { name, .. }) if name == "bad")));
    setup.store.sweep(Duration::ZERO).unwrap();
    assert_eq!(setup.blobs().len(), 1);
    // The entry that cannot be read may name the same file.
    assert_eq!(setup.store.remove(&name("good")).unwrap(), 0);
    assert_eq!(setup.blobs().len(), 1);
    setup.store.remove(&name("bad")).unwrap();
    assert!(setup.store.list().unwrap().is_empty());
    setup.store.sweep(Duration::ZERO).unwrap();
    assert!(setup.blobs().is_empty());
}

#[test]
fn a_sweep_takes_what_nobody_holds_and_nothing_else() {
    let setup = setup();
    let manifest = setup.import(&setup.file("a.gguf", &gguf_like(100, 11)), named("m")).unwrap();
    let blobs = setup.store.root().join("blobs");
    let held = fs::File::create(blobs.join(".import-1-0.tmp")).unwrap();
    held.lock().unwrap();
    let stray = format!("sha256-{}.gguf", "0".repeat(64));
    for stale in [".import-1-1.tmp", ".pull-aa.partial", &stray, "../models/.manifest-x.tmp"] {
        fs::write(blobs.join(stale), b"GGUF").unwrap();
    }
    for folder in [".pull-aa.packages/0", ".pull-bb.packages", "../splits/gone"] {
        fs::create_dir_all(blobs.join(folder)).unwrap();
    }
    fs::write(blobs.join("keep.txt"), "someone's own").unwrap();

    // A fresh download that can be resumed stays, with its packages.
    setup.store.sweep(Duration::from_secs(3600)).unwrap();
    let left = || -> Vec<_> {
        let mut left: Vec<_> =
            setup.blobs().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        left.sort();
        left
    };
    let blob = format!("sha256-{}.gguf", manifest.files[0].sha256);
    assert_eq!(left(), [".import-1-0.tmp", ".pull-aa.packages", ".pull-aa.partial", "keep.txt", &blob]);
    setup.store.sweep(Duration::ZERO).unwrap();
    assert_eq!(left(), [".import-1-0.tmp", "keep.txt", &blob]);
    drop(held);
    setup.store.sweep(Duration::ZERO).unwrap();
    assert_eq!(left(), ["keep.txt", &blob]);
    assert_eq!(fs::read_dir(setup.store.root().join("splits")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(setup.store.root().join("models")).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_sweep_needs_no_right_to_write_what_it_removes() {
    use std::os::unix::fs::PermissionsExt;

    let setup = setup();
    setup.import(&setup.file("a.gguf", &gguf_like(100, 44)), named("m")).unwrap();
    let stale = |n| setup.store.root().join(format!("blobs/.import-1-{n}.tmp"));
    fs::write(stale(0), b"GGUF").unwrap();
    fs::set_permissions(stale(0), fs::Permissions::from_mode(0o444)).unwrap();
    // A superuser may write to that file, but nobody to a folder.
    fs::create_dir(stale(1)).unwrap();
    assert_eq!(setup.store.sweep(Duration::ZERO).unwrap().entries, 2);
    assert_eq!(setup.blobs().len(), 1);
}

#[test]
fn a_cancelled_import_leaves_no_debris() {
    let setup = setup();
    let path = setup.file("a.gguf", &gguf_like(2_000_000, 12));
    let token = CancelToken::new();
    let from_inside = token.clone();
    let mut seen = Vec::new();
    let listen = |event: Event<'_>| {
        if let Event::Progress { phase: Phase::Copying, done, .. } = event {
            seen.push(done);
            from_inside.cancel();
        }
    };
    let result = setup.store.import(&path, &named("m"), &mut Monitor::new(listen, token));
    assert!(matches!(result, Err(StoreError::Cancelled)), "{result:?}");
    assert_eq!(seen.len(), 1, "it went on after the cancellation: {seen:?}");
    assert!(setup.blobs().is_empty() && setup.store.list().unwrap().is_empty());
}
