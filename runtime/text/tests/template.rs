//! Chat templates against Python's Jinja2: see `template_oracle.py` and `template_vectors.py` for how the expected outputs
//! were made.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it skipped")]

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use silhak_text::{ChatTemplate, DateTime, Message, RenderOptions, ToolCallFormat};

/// Reports that a test cannot run, or fails if `SILHAK_REQUIRE` asks for `what`.
fn skip(what: &str, why: &str) {
    let required = std::env::var("SILHAK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == what), "{what} required: {why}");
    println!("SKIPPED: {why}");
}

fn cache(variable: &str, folder: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache"));
    cache.join("silhak").join(folder)
}

fn data(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// One conversation with its options, and what it is called in a failure.
struct Case {
    name: String,
    messages: Vec<Message>,
    options: RenderOptions,
}

fn cases(file: &str, bos: Option<String>, eos: Option<String>) -> Vec<Case> {
    let all = data(file);
    let now = DateTime::from_unix(all["now"].as_i64().unwrap(), 0);
    let cases = all["cases"].as_array().unwrap().iter().map(|case| {
        let conversation = &all["conversations"][case["conversation"].as_str().unwrap()];
        let tools = match case.get("tools") {
            Some(_) => all["tools"].as_array().unwrap().clone(),
            None => Vec::new(),
        };
        Case {
            name: case.to_string(),
            messages: serde_json::from_value(conversation.clone()).unwrap(),
            options: RenderOptions {
                add_generation_prompt: case.get("generate").is_none_or(|flag| flag == true),
                tools,
                bos_token: bos.clone(),
                eos_token: eos.clone(),
                options: case.get("options").map_or_else(Map::new, |options| options.as_object().unwrap().clone()),
                now: Some(now),
            },
        }
    });
    cases.collect()
}

/// This template joins text by `"..."|safe + description`. In Jinja2 that escapes the description
/// for HTML, although nothing else is escaped; the tool is described to the model as it was given
/// here.
const HTML_ESCAPED: &str = "meetkai-functionary-medium-v3.1.jinja";

/// Renders every case and describes those that differ from `expected`, `null` being an error.
fn differences(source: &str, cases: &[Case], expected: &[Value]) -> Vec<String> {
    assert_eq!(cases.len(), expected.len());
    let template = match ChatTemplate::parse(source) {
        Ok(template) => template,
        Err(error) if expected.iter().all(Value::is_null) => {
            println!("both refuse to parse: {error}");
            return Vec::new();
        }
        Err(error) => return vec![format!("cannot be parsed: {error}")],
    };
    let mut differences = Vec::new();
    for (case, expected) in cases.iter().zip(expected) {
        let found = template.render(&case.messages, &case.options);
        match (&found, expected.as_str()) {
            (Ok(found), Some(expected)) if found == expected => {}
            (Err(_), None) => {}
            _ => differences.push(format!("{}\n  {found:?}\n  {expected:?}", case.name)),
        }
    }
    differences
}

#[test]
fn published_templates_render_as_jinja2_renders_them() {
    let folder = cache("SILHAK_TEST_TEMPLATES", "chat-templates");
    let Ok(expected) = std::fs::read_to_string(folder.join("expected.json")) else {
        let why = format!(
            "no {}: template_oracle.py says how to fetch the templates and make it",
            folder.join("expected.json").display()
        );
        return skip("templates", &why);
    };
    let expected: Map<String, Value> = serde_json::from_str(&expected).unwrap();
    let cases = cases("template-cases.json", Some("<s>".into()), Some("</s>".into()));
    let mut failed = Vec::new();
    for (name, expected) in &expected {
        let source = std::fs::read_to_string(folder.join(name)).unwrap();
        let differences = differences(&source, &cases, expected.as_array().unwrap());
        if name == HTML_ESCAPED {
            // Only where a tool's description holds a character that HTML has a name for.
            assert!(differences.iter().all(|found| found.contains("\"tools\":true")));
            assert!(differences.len() <= 6, "{}", differences.join("\n"));
        } else if !differences.is_empty() {
            failed.push(format!("{name}: {}", differences.join("\n")));
        }
    }
    println!("{} of {} templates agree", expected.len() - failed.len() - 1, expected.len());
    assert!(expected.len() >= 60);
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn published_templates_tell_how_tools_are_called() {
    let folder = cache("SILHAK_TEST_TEMPLATES", "chat-templates");
    if !folder.exists() {
        return skip("templates", &format!("no {}: template_oracle.py says how to fetch them", folder.display()));
    }
    for (name, format) in [
        ("Qwen-Qwen2.5-7B-Instruct", Some(ToolCallFormat::Hermes)),
        ("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", Some(ToolCallFormat::Hermes)),
        ("GLM-4.6", Some(ToolCallFormat::KeyValue)),
        ("upstage-Solar-Open-100B", Some(ToolCallFormat::Solar)),
        ("Qwen3-Coder", None),
        ("MiniMax-M3", None),
        ("google-gemma-2-2b-it", None),
    ] {
        let source = std::fs::read_to_string(folder.join(format!("{name}.jinja"))).unwrap();
        assert_eq!(ToolCallFormat::of_template(&source), format, "{name}");
    }
}

#[test]
fn our_templates_of_korean_models_render_as_transformers_renders_them() {
    let cases = cases("korean-cases.json", None, None);
    let vectors = data("template-vectors.json");
    let mut failed = Vec::new();
    for (name, expected) in vectors.as_object().unwrap() {
        let source = ["src/template/builtin", "tests/data/korean"].into_iter().find_map(|folder| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{name}.jinja"));
            std::fs::read_to_string(path).ok()
        });
        let differences = differences(&source.unwrap(), &cases, expected.as_array().unwrap());
        if !differences.is_empty() {
            failed.push(format!("{name}: {}", differences.join("\n")));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn the_language_behaves_as_jinja2_does() {
    let cases = data("template-features.json");
    let options = RenderOptions {
        now: Some(DateTime::from_unix(data("template-cases.json")["now"].as_i64().unwrap(), 0)),
        ..RenderOptions::default()
    };
    let mut failed = Vec::new();
    for case in cases.as_array().unwrap() {
        let source = case["template"].as_str().unwrap();
        let found = ChatTemplate::parse(source).and_then(|t| t.render(&[], &options));
        if found.as_deref().ok() != case["expected"].as_str() {
            failed.push(format!("{source}\n  {found:?}\n  {}", case["expected"]));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn the_templates_of_model_files_render_as_jinja2_renders_them() {
    let models = cache("SILHAK_TEST_MODELS", "test-models");
    for name in ["smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"] {
        let path = models.join(format!("{name}.gguf"));
        if !path.exists() {
            skip("models", &format!("no {}", path.display()));
            continue;
        }
        let file = silhak_gguf::Gguf::open(&path).unwrap();
        let source = file.metadata().str("tokenizer.chat_template").unwrap();
        let golden = data(&format!("template-{name}.json"));
        let token = |key: &str| golden[key].as_str().map(str::to_owned);
        let cases = cases("template-cases.json", token("bos_token"), token("eos_token"));
        let differences = differences(source, &cases, golden["expected"].as_array().unwrap());
        assert!(differences.is_empty(), "{name}: {}", differences.join("\n"));
    }
}
