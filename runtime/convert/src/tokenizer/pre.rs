//! The rules that cut a text into words before BPE merges within each: stated in `tokenizer.json`, named in GGUF.

use serde_json::Value as Json;

use crate::Error;

/// The name of a file's rules.
pub(super) fn name(pre_tokenizer: Option<&Json>) -> Result<&'static str, Error> {
    let mut rules = Vec::new();
    let known = pre_tokenizer.is_some_and(|step| collect(step, &mut rules));
    let named = NAMED.iter().find(|(_, of_name)| known && *of_name == rules);
    let found = || pre_tokenizer.map_or_else(|| "none".into(), Json::to_string);
    named.map(|(name, _)| *name).ok_or_else(|| Error::PreTokenizer { found: found() })
}

/// Appends the expressions of a step, each of which cuts what the one before it left; `false` for a step that is none.
fn collect(step: &Json, rules: &mut Vec<String>) -> bool {
    let flag = |name: &str, default| step.get(name).and_then(Json::as_bool).unwrap_or(default);
    match step.get("type").and_then(Json::as_str) {
        Some("Sequence") => {
            let steps = step.get("pretokenizers").and_then(Json::as_array);
            steps.is_some_and(|steps| steps.iter().all(|step| collect(step, rules)))
        }
        Some("ByteLevel") => {
            rules.extend(flag("use_regex", true).then(|| GPT2.to_owned()));
            !flag("add_prefix_space", false)
        }
        Some("Digits") => {
            rules.push(if flag("individual_digits", false) { EACH_NUMBER } else { r"\p{N}+" }.to_owned());
            true
        }
        Some("Split") => {
            let isolated = step.get("behavior").and_then(Json::as_str) == Some("Isolated");
            let expression = step.pointer("/pattern/Regex").and_then(Json::as_str);
            rules.extend(expression.map(str::to_owned));
            isolated && !flag("invert", false) && expression.is_some()
        }
        _ => false,
    }
}

const GPT2: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const EACH_NUMBER: &str = r"\p{N}";
const HAN_AND_KANA: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

/// Names, and the expressions that makers publish under them. `\p{N}` alone is in some files `\p{N}{1}`.
const NAMED: &[(&str, &[&str])] = &[
    ("gpt-2", &[GPT2]),
    ("exaone", &[EACH_NUMBER, GPT2]),
    ("hyperclovax", &[EACH_NUMBER, HAN_AND_KANA, DEEPSEEK3]),
    ("deepseek-v3", &[r"\p{N}{1,3}", HAN_AND_KANA, DEEPSEEK3]),
    (
        "qwen2",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "llama-bpe",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "exaone-moe",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn byte_level(use_regex: bool) -> Json {
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex })
    }

    fn sequence(steps: &[Json]) -> Json {
        json!({ "type": "Sequence", "pretokenizers": steps })
    }

    #[test]
    fn rules_have_names() {
        let split = |regex: &str| json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
        let digits = json!({ "type": "Digits", "individual_digits": true });
        assert_eq!(name(Some(&byte_level(true))).unwrap(), "gpt-2");
        assert_eq!(name(Some(&sequence(&[digits.clone(), byte_level(true)]))).unwrap(), "exaone");
        assert_eq!(name(Some(&sequence(&[split(r"\p{N}"), byte_level(true)]))).unwrap(), "exaone");
        for (expected, rules) in NAMED.iter().filter(|(_, rules)| !rules.contains(&GPT2)) {
            let steps: Vec<Json> = rules.iter().map(|rule| split(rule)).chain([byte_level(false)]).collect();
            assert_eq!(name(Some(&sequence(&steps))).unwrap(), *expected);
        }
        // Another order is another rule.
        assert!(name(Some(&sequence(&[byte_level(true), digits]))).is_err());
    }

    #[test]
    fn unknown_rules_are_shown() {
        for (step, word) in [
            (json!({ "type": "Whitespace" }), "Whitespace"),
            (json!({ "type": "Split", "pattern": { "String": " " }, "behavior": "Removed" }), "Removed"),
            (json!({ "type": "Split", "pattern": { "Regex": "x+" }, "behavior": "Isolated" }), "x+"),
            (json!({ "type": "ByteLevel", "add_prefix_space": true }), "add_prefix_space"),
        ] {
            let error = name(Some(&step)).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("--pre"), "{error}");
        }
        assert!(name(None).is_err());
    }
}
