//! Answers, scores and measurements of tiny random models, as scripts and people ask for them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use std::fs;

use serde_json::Value;
use silhak_tests::tiny::Tiny;
use support::Home;
use support::repository::Server;

/// A home with a tiny model, and the model's path.
fn home() -> (Home, String) {
    let home = Home::new();
    let path = home.folder.path().join("tiny.gguf");
    Tiny::new("qwen2").write(&path).unwrap();
    (home, path.into_os_string().into_string().unwrap())
}

#[test]
fn an_answer_as_json_says_how_it_came_about() {
    let (home, model) = home();
    let answer = home.json(&["run", &model, "the thin hen", "--temp", "0", "--max-tokens", "9", "--json"]);
    let ids = answer["ids"].as_array().unwrap();
    assert!(answer["text"].is_string() && ids.len() <= 9);
    let prompt = answer["prompt_ids"].as_array().unwrap().len();
    assert!(prompt > "the thin hen".len() / 3);
    let usage = &answer["usage"];
    assert_eq!(usage["prompt_tokens"], prompt);
    assert_eq!(usage["cached_tokens"], 0);
    assert_eq!(usage["completion_tokens"], ids.len());
    assert_eq!(usage["total_tokens"], prompt + ids.len());
    assert_eq!(answer["finish_reason"], if ids.len() == 9 { "length" } else { "stop" });
    let timings = answer["timings"].as_object().unwrap();
    for key in ["load_s", "first_token_s", "prefill_tps", "decode_tps", "peak_rss_bytes"] {
        assert!(timings.contains_key(key), "{key}");
    }
    assert!(timings["load_s"].as_f64().unwrap() > 0.0 && timings["prefill_tps"].as_f64().unwrap() > 0.0);
}

#[test]
fn templates_are_told_the_time_of_the_user() {
    let home = Home::new();
    let path = home.folder.path().join("dated.gguf");
    let template = "{{ strftime_now('%Y-%m-%d') }}{% for m in messages %}{{ m.content }}{% endfor %}";
    let edit = |metadata: &mut std::collections::BTreeMap<_, _>, _: &mut Vec<_>| {
        metadata.insert("tokenizer.chat_template".to_owned(), template.into());
    };
    Tiny::new("qwen2").write_edited(&path, edit).unwrap();
    let prompt = |zone: &str| {
        let mut command = home.command(&["run", path.to_str().unwrap(), "a", "--max-tokens", "1", "--json"]);
        let output = command.env("TZ", zone).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["prompt_ids"].clone()
    };
    // 26 hours apart, so that the dates differ at any time of the day.
    assert_ne!(prompt("EAST-14"), prompt("WEST+12"));
}

#[test]
fn streamed_text_is_the_text_and_nothing_else() {
    let (home, model) = home();
    let args = ["run", &model, "안녕", "--temp", "0", "--max-tokens", "12"];
    let whole = home.json(&[&args[..], &["--json"]].concat());
    let streamed = home.ok(&args);
    assert_eq!(streamed.stdout.trim_end_matches('\n'), whole["text"].as_str().unwrap().trim_end_matches('\n'));
    assert!(streamed.stderr.is_empty(), "{}", streamed.stderr);
    let told = home.ok(&[&args[..], &["--stats"]].concat());
    assert_eq!(told.stdout, streamed.stdout);
    assert!(told.stderr.contains("tokens/s") && !told.stderr.contains('\x1b'), "{}", told.stderr);
}

#[test]
fn the_seed_decides() {
    let (home, model) = home();
    let ask = |seed| {
        let args = ["run", &model, "hello", "--temp", "1.5", "--max-tokens", "16", "--seed", seed, "--json"];
        home.json(&args)["ids"].clone()
    };
    assert_eq!(ask("1"), ask("1"));
    assert_ne!(ask("1"), ask("2"));
}

#[test]
fn what_is_piped_in_is_the_prompt_or_comes_after_it() {
    let (home, model) = home();
    let rest = ["--temp", "0", "--max-tokens", "4", "--json"];
    let prompt_of = |outcome: support::Outcome| {
        assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()["prompt_ids"].clone()
    };
    let piped = prompt_of(home.run_with(&[&["run", &model][..], &rest].concat(), "the text\n"));
    let given = prompt_of(home.run(&[&["run", &model, "the text"][..], &rest].concat()));
    assert_eq!(piped, given);
    let both = prompt_of(home.run_with(&[&["run", &model, "read this:"][..], &rest].concat(), "the text\n"));
    let one = prompt_of(home.run(&[&["run", &model, "read this:\n\nthe text"][..], &rest].concat()));
    assert_eq!(both, one);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (home, model) = home();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let args = ["run", &model, "hello", "--temp", "0", "--max-tokens", "40"];
    let output = home.command(&args).stdout(writer).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn options_have_twins_in_the_environment_and_arguments_win() {
    let (home, model) = home();
    let args = ["run", &model, "hello", "--temp", "0", "--json"];
    let count = |args: &[&str]| {
        let output = home.command(args).env("SILHAK_MAX_TOKENS", "3").output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["ids"].as_array().unwrap().len()
    };
    assert_eq!(count(&args), 3);
    assert_eq!(count(&[&args[..], &["--max-tokens", "5"]].concat()), 5);
}

#[test]
fn raw_text_is_continued_without_the_template() {
    let (home, model) = home();
    let ids = |more: &[&str]| {
        let args = [&["run", &model, "the", "--max-tokens", "1", "--json"][..], more].concat();
        home.json(&args)["prompt_ids"].clone()
    };
    let text = home.json(&["tokenize", &model, "the", "--json"])["ids"].clone();
    assert_eq!(ids(&["--raw"]), text);
    assert!(ids(&[]).as_array().unwrap().len() > text.as_array().unwrap().len());
    let refused = home.run(&["run", &model, "the", "--raw", "--system", "be short"]);
    assert!(refused.status == Some(1) && refused.stderr.contains("--system"), "{refused:?}");
}

#[test]
fn a_model_of_the_catalogue_is_fetched_when_it_is_first_run() {
    let (home, model) = home();
    let server = Server::start(fs::read(&model).unwrap());
    home.catalogue(&server.catalogue(true, ""));
    let run = || {
        let mut command = home.command(&["run", "tiny", "hello", "--temp", "0", "--max-tokens", "2"]);
        command.env("HF_ENDPOINT", &server.endpoint).output().unwrap()
    };
    let (first, second) = (run(), run());
    assert!(first.status.success() && second.status.success(), "{first:?}");
    let said = String::from_utf8(first.stderr).unwrap();
    assert!(said.contains("Apache-2.0") && said.contains("is ready"), "{said}");
    assert_eq!(first.stdout, second.stdout);
    assert!(second.stderr.is_empty());
    assert_eq!(home.listed(), ["tiny"]);
}

#[test]
fn whoever_gets_a_model_for_english_by_an_alias_is_told() {
    for (lang, word) in [("en", "answers in English only"), ("ko", "영어로만 답하는")] {
        let (home, model) = home();
        let server = Server::start(fs::read(&model).unwrap());
        let tiny = server.catalogue(true, "").replace("licence", "english_only = true\nlicence");
        let gone = tiny.replace("'tiny'", "'gone'").replace("repo = 'maker/", "repo = 'nobody/");
        home.catalogue(&format!("{gone}{tiny}[[alias]]\nname = 'demo'\nmodels = ['gone', 'tiny']\n"));
        let run = |name: &str| {
            let mut command = home.command(&["run", name, "hi", "--max-tokens", "1", "--lang", lang]);
            let output = command.env("HF_ENDPOINT", &server.endpoint).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stderr).unwrap()
        };
        let told = run("demo");
        assert_eq!(told.lines().filter(|line| line.contains(word)).count(), 1, "{told}");
        home.ok(&["rm", "tiny"]);
        assert!(!run("tiny").contains(word), "who asks for it by name has read what it is");
    }
}

#[test]
fn tokens_come_from_an_argument_a_file_or_a_pipe() {
    let (home, model) = home();
    let text = "the thin 한글 <|im_end|>";
    let file = home.folder.path().join("text.txt");
    fs::write(&file, text).unwrap();
    let given = home.json(&["tokenize", &model, text, "--json"]);
    assert_eq!(home.json(&["tokenize", &model, "--file", file.to_str().unwrap(), "--json"]), given);
    let piped = home.run_with(&["tokenize", &model, "--json"], text);
    assert_eq!(serde_json::from_str::<Value>(&piped.stdout).unwrap(), given);
    let special = home.json(&["tokenize", &model, text, "--special", "--json"]);
    assert!(special["ids"].as_array().unwrap().len() < given["ids"].as_array().unwrap().len());
    let listing = home.ok(&["tokenize", &model, "the가"]).stdout;
    let lines: Vec<_> = listing.lines().collect();
    assert!(lines[0].ends_with("\"the\"") && lines[1].ends_with("\"\\xEA\""), "{listing}");
    // A vocabulary can be tried before its architecture can be run.
    let other = home.folder.path().join("other.gguf");
    Tiny { architecture: "mamba", ..Tiny::new("llama") }.write(&other).unwrap();
    assert_eq!(home.json(&["tokenize", other.to_str().unwrap(), text, "--json"]), given);
}

#[test]
fn perplexity_scores_every_token_but_the_first() {
    let (home, model) = home();
    let text = "the thin hen in the inn";
    let score =
        |more: &[&str]| home.json(&[&["perplexity", &model, text, "--tokens", "12", "--json"][..], more].concat());
    let (fast, reference) = (score(&[]), score(&["--device", "reference"]));
    for score in [&fast, &reference] {
        assert_eq!(score["n_tokens"], 12);
        let nll: Vec<f64> = score["nll"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        assert_eq!(nll.len(), 11);
        let mean = nll.iter().sum::<f64>() / 11.0;
        assert!((score["mean_nll"].as_f64().unwrap() - mean).abs() < 1e-9);
        assert!((score["perplexity"].as_f64().unwrap() - mean.exp()).abs() < 1e-6);
    }
    let mean = |score: &Value| score["mean_nll"].as_f64().unwrap();
    assert!((mean(&fast) - mean(&reference)).abs() < 0.05, "{fast} {reference}");
    let short = home.run(&["perplexity", &model, text, "--tokens", "500"]);
    assert!(short.status == Some(1) && short.stderr.contains("--tokens"), "{short:?}");
}

#[test]
fn a_benchmark_has_all_its_samples() {
    let (home, model) = home();
    for device in ["cpu", "reference"] {
        let sizes = ["--prefill", "20", "--decode", "5", "--depth", "7", "--reps", "3", "--threads", "2"];
        let bench = home.json(&[&["bench", &model, "--device", device, "--json"][..], &sizes].concat());
        assert_eq!((bench["model"].as_str(), bench["device"].as_str()), (Some(model.as_str()), Some(device)));
        assert_eq!(bench["threads"], if device == "cpu" { 2 } else { 1 });
        assert_eq!((&bench["prefill"]["n_tokens"], &bench["decode"]["n_tokens"]), (&20.into(), &5.into()));
        assert_eq!(bench["depth"], 7);
        for part in ["prefill", "decode"] {
            let mut samples: Vec<f64> =
                bench[part]["samples_tps"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
            samples.sort_by(f64::total_cmp);
            assert_eq!((samples.len(), Some(samples[1])), (3, bench[part]["median_tps"].as_f64()));
        }
    }
    assert_eq!(home.json(&["bench", &model, "--decode", "0", "--prefill", "4", "--json"])["decode"], Value::Null);
}

#[test]
fn errors_say_what_to_try_in_the_user_s_language() {
    let (home, model) = home();
    let other = home.folder.path().join("other.gguf");
    Tiny { architecture: "mamba", ..Tiny::new("llama") }.write(&other).unwrap();
    let other = other.to_str().unwrap();
    let not_gguf = home.folder.path().join("text.gguf");
    fs::write(&not_gguf, "not a model at all").unwrap();
    let cp949 = home.folder.path().join("cp949.txt");
    fs::write(&cp949, b"\xbe\xc8\xb3\xe7").unwrap();
    let cp949 = cp949.to_str().unwrap();
    let long = "word ".repeat(200);
    for (args, english, korean) in [
        (&["run", "/no/such.gguf", "hi"][..], "no file", "파일이 없습니다"),
        (&["run", "smolm2-135m", "hi"], "did you mean 'smollm2-135m'?", "찾으셨습니까"),
        (&["run", other, "hi"], "'mamba' is not known", "'mamba' 구조"),
        (&["run", not_gguf.to_str().unwrap(), "hi"], "not a GGUF file", "GGUF 파일이 아닙니다"),
        (&["run", &model, &long, "--ctx", "64"], "--ctx", "문맥에는 64개까지"),
        (&["run", &model, "hi", "--ctx", "100000"], "--ctx: expected 1 to 512", "값은 1~512인데"),
        (&["run", &model], "there is no prompt", "입력이 없습니다"),
        (&["run", &model, "hi", "--pre", "nobody"], "--pre", "사전 토크나이저"),
        (&["run", "./", "hi"], "is a folder", "폴더입니다"),
        (
            &["tokenize", &model, "--file", "/no/such.txt"],
            "no file at '/no/such.txt'",
            "'/no/such.txt' 파일이 없습니다",
        ),
        (&["tokenize", &model, "--file", cp949], "is not UTF-8", "UTF-8이 아닙니다"),
    ] {
        for (lang, label, word) in [("en", "error: ", english), ("ko", "오류: ", korean)] {
            let outcome = home.run(&[args, &["--lang", lang]].concat());
            assert_eq!(outcome.status, Some(1), "{args:?}: {outcome:?}");
            assert!(outcome.stderr.starts_with(label) && outcome.stderr.contains(word), "{}", outcome.stderr);
            assert!(outcome.stdout.is_empty());
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_in_both_languages() {
    let (home, model) = home();
    let whole = fs::read(&model).unwrap();
    let path = home.folder.path().join("broken.gguf");
    let check = |english: &str, korean: &str| {
        for (lang, word) in [("en", english), ("ko", korean)] {
            let refused = home.run(&["run", path.to_str().unwrap(), "hi", "--lang", lang]);
            assert_eq!(refused.status, Some(1), "{refused:?}");
            assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
        }
    };
    let with = |at: usize, bytes: &[u8]| {
        let mut content = whole.clone();
        content[at..at + bytes.len()].copy_from_slice(bytes);
        content
    };
    // After a tensor's name come the number of its dimensions, here one, that dimension, and the type.
    let name = b"output_norm.weight";
    let ty = whole.windows(name.len()).position(|part| part == name).unwrap() + name.len() + 4 + 8;
    for (content, english, korean) in [
        (with(4, &9u32.to_le_bytes()), "version 9", "GGUF 9판은"),
        (with(4, &3u32.to_be_bytes()), "big-endian", "빅 엔디언"),
        (with(8, &u64::MAX.to_le_bytes()), "more than", "손상되었거나"),
        (with(8, &65_000u64.to_le_bytes()), "are left in the file", "잘렸거나 손상된"),
        (with(ty, &99u32.to_le_bytes()), "type id 99", "형식 번호 99"),
        (whole[..6].to_vec(), "cut short", "끊어져 있습니다"),
        (whole[..whole.len() - 1000].to_vec(), "past the end", "파일 끝을 넘습니다"),
    ] {
        fs::write(&path, content).unwrap();
        check(english, korean);
    }
    Tiny::new("qwen2").write_edited(&path, |_, tensors| drop(tensors.pop())).unwrap();
    check("is missing", "파일에 없습니다");
    Tiny::new("qwen2").write_edited(&path, |metadata, _| drop(metadata.remove("qwen2.block_count"))).unwrap();
    check("`qwen2.block_count` is missing", "'qwen2.block_count' 값이 없습니다");
}

#[test]
fn values_that_no_model_takes_are_wrong_usage() {
    let (home, model) = home();
    for args in [&["run"][..], &["run", &model, "--device", "abacus"], &["bench", &model, "--reps", "0"]] {
        assert_eq!(home.run(args).status, Some(2), "{args:?}");
    }
    for (option, value, expected) in [
        ("--ctx", "0", "0 is not in 1.."),
        ("--temp", "-1", "expected a number from 0 to 100"),
        ("--temp", "nan", "expected a number from 0 to 100"),
        ("--temp", "warm", "expected a number from 0 to 100"),
        ("--top-p", "2", "expected a number from 0 to 1"),
        ("--min-p", "-0.5", "expected a number from 0 to 1"),
        ("--repeat-penalty", "0", "expected a number from 0.01 to 100"),
        ("--frequency-penalty", "inf", "expected a number from -100 to 100"),
    ] {
        let refused = home.run(&["run", &model, "hi", option, value]);
        assert_eq!(refused.status, Some(2), "{option} {value}: {refused:?}");
        assert!(refused.stderr.contains(option) && refused.stderr.contains(expected), "{}", refused.stderr);
    }
    assert_eq!(home.run(&["fit", &model, "--ctx", "0"]).status, Some(2));
    let output = home.command(&["run", &model, "hi"]).env("SILHAK_TOP_P", "2").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    home.ok(&["run", &model, "hi", "--frequency-penalty", "-2", "--top-p", "1", "--temp", "0", "--max-tokens", "1"]);
}

/// A model whose template opens the thinking if it is told to: what comes then is thought, and no answer.
#[test]
fn thinking_is_on_or_off_and_no_answer() {
    const TEMPLATE: &str = "{{ messages[0].content }}{% if enable_thinking %}<think>\n{% endif %}";
    let home = Home::new();
    let path = home.folder.path().join("thinks.gguf");
    Tiny::new("exaone4")
        .write_edited(&path, |metadata, _| drop(metadata.insert("tokenizer.chat_template".into(), TEMPLATE.into())))
        .unwrap();
    let ask = |think: &[&str]| {
        let args =
            [&["run", path.to_str().unwrap(), "가", "--temp", "0", "--max-tokens", "5", "--json"], think].concat();
        let outcome = home.ok(&args);
        (serde_json::from_str::<Value>(&outcome.stdout).unwrap(), outcome.stderr)
    };
    let (thinking, note) = ask(&["--think", "on"]);
    assert!(thinking["text"] == "" && thinking["reasoning"] != "", "{thinking}");
    assert!(note.contains("--think off"), "{note}");
    for think in [&["--think", "off"][..], &[]] {
        let (answering, note) = ask(think);
        assert!(answering["text"] != "" && answering["reasoning"] == "" && note.is_empty(), "{answering} {note}");
        assert!(thinking["prompt_ids"].as_array().unwrap().len() > answering["prompt_ids"].as_array().unwrap().len());
    }
}
