//! Templates for models whose files come without one. They are our own, after what the makers document.

/// A template, and how to tell the models it is for.
struct Builtin {
    /// Values of `general.architecture`.
    architectures: &'static [&'static str],
    /// Special tokens that tell a model from others of the same architecture.
    tokens: &'static [&'static str],
    source: &'static str,
}

const BUILTIN: &[Builtin] = &[
    Builtin { architectures: &["exaone"], tokens: &["[|endofturn|]"], source: include_str!("builtin/exaone.jinja") },
    Builtin { architectures: &["exaone4"], tokens: &["[|endofturn|]"], source: include_str!("builtin/exaone4.jinja") },
    // EXAONE 4.5 has the architecture of 4.0 and speaks as K-EXAONE does.
    Builtin {
        architectures: &["exaone-moe", "exaone4"],
        tokens: &["<|user|>", "<|endofturn|>"],
        source: include_str!("builtin/k-exaone.jinja"),
    },
    // The 32B is the one that sees.
    Builtin {
        architectures: &["hyperclovax"],
        tokens: &["<|im_start|>", "<|IMAGE_PAD|>"],
        source: include_str!("builtin/hyperclova-x-think-32b.jinja"),
    },
    Builtin {
        architectures: &["hyperclovax", "hcx-seed-think"],
        tokens: &["<|im_start|>", "<|endofturn|>", "<|stop|>"],
        source: include_str!("builtin/hyperclova-x-think-14b.jinja"),
    },
    // GLM has the architecture too.
    Builtin {
        architectures: &["glm4moe"],
        tokens: &["<|begin|>", "<|content|>", "<|calls|>"],
        source: include_str!("builtin/solar-open.jinja"),
    },
];

pub(super) fn find(architecture: &str, has_token: impl Fn(&str) -> bool) -> Option<&'static str> {
    BUILTIN
        .iter()
        .find(|builtin| {
            builtin.architectures.contains(&architecture) && builtin.tokens.iter().all(|token| has_token(token))
        })
        .map(|builtin| builtin.source)
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::{ReasoningTags, ToolCallFormat};

    /// The built-in template of a model whose vocabulary has these special tokens.
    fn builtin(architecture: &str, tokens: &[&str]) -> Option<&'static str> {
        find(architecture, |token| tokens.contains(&token))
    }

    #[test]
    fn tokens_tell_models_of_one_architecture_apart() {
        const NAVER: [&str; 4] = ["<|im_start|>", "<|im_end|>", "<|endofturn|>", "<|stop|>"];
        let think = Some(ReasoningTags::THINK);
        for (architecture, tokens, begins, tags, format) in [
            ("exaone", &["[|endofturn|]"][..], "{#- EXAONE 3.5", None, None),
            ("exaone4", &["[|endofturn|]"], "{#- EXAONE 4.0", think, Some(ToolCallFormat::Hermes)),
            ("exaone4", &["<|user|>", "<|endofturn|>"], "{#- K-EXAONE", think, Some(ToolCallFormat::Hermes)),
            ("exaone-moe", &["<|user|>", "<|endofturn|>"], "{#- K-EXAONE", think, Some(ToolCallFormat::Hermes)),
            (
                "hyperclovax",
                &["<|im_start|>", "<|endofturn|>", "<|stop|>", "<|IMAGE_PAD|>"],
                "{#- HyperCLOVA X SEED Think 32B",
                think,
                Some(ToolCallFormat::KeyValue),
            ),
            (
                "hyperclovax",
                &NAVER,
                "{#- HyperCLOVA X SEED Think 14B",
                Some(ReasoningTags::ROLE_SWITCH),
                Some(ToolCallFormat::RoleSwitch),
            ),
            (
                "hcx-seed-think",
                &NAVER,
                "{#- HyperCLOVA X SEED Think 14B",
                Some(ReasoningTags::ROLE_SWITCH),
                Some(ToolCallFormat::RoleSwitch),
            ),
            (
                "glm4moe",
                &["<|begin|>", "<|content|>", "<|calls|>"],
                "{#- Solar Open",
                Some(ReasoningTags::MESSAGES),
                Some(ToolCallFormat::Solar),
            ),
        ] {
            let source = builtin(architecture, tokens).unwrap();
            assert!(source.starts_with(begins), "{architecture}: {source:.40}");
            assert_eq!(ReasoningTags::of_template(source), tags, "{begins}");
            assert_eq!(ToolCallFormat::of_template(source), format, "{begins}");
        }
        assert_eq!(builtin("glm4moe", &["<|user|>"]), None);
        assert_eq!(builtin("exaone", &[]), None);
        assert_eq!(builtin("llama", &NAVER), None);
    }
}
