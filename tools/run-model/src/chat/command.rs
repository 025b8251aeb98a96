//! Lines that begin with a slash.

/// What a line asks the chat itself for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Set { name: String, value: String },
    Show,
    Clear,
    Save(String),
    Load(String),
    Help,
    Bye,
}

impl Command {
    /// The command on a line; none where the line is meant for the model. A line that begins like a command and is none
    /// comes back as an error, for a mistyped command must not become a question.
    pub(super) fn parse(line: &str) -> Option<Result<Self, String>> {
        let text = line.trim();
        if !text.starts_with('/') || text.contains('\n') {
            return None;
        }
        let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        Some(match (verb, rest) {
            ("/set", rest) if !rest.is_empty() => {
                let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                Ok(Self::Set { name: name.into(), value: value.trim().into() })
            }
            ("/show", "") => Ok(Self::Show),
            ("/clear", "") => Ok(Self::Clear),
            ("/save", file) if !file.is_empty() => Ok(Self::Save(file.into())),
            ("/load", file) if !file.is_empty() => Ok(Self::Load(file.into())),
            ("/help" | "/?", "") => Ok(Self::Help),
            ("/bye" | "/exit" | "/quit", "") => Ok(Self::Bye),
            _ => Err(text.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_talk() {
        let command = |line| Command::parse(line).unwrap().unwrap();
        let set = |name: &str, value: &str| Command::Set { name: name.into(), value: value.into() };
        assert_eq!(command("/set temp 0.5"), set("temp", "0.5"));
        assert_eq!(command("/set system 짧게 답해 줘"), set("system", "짧게 답해 줘"));
        assert_eq!(command("/set seed"), set("seed", ""));
        assert_eq!(command("  /save my chat.json "), Command::Save("my chat.json".into()));
        assert_eq!(command("/?"), Command::Help);
        assert_eq!(Command::parse("안녕 /bye"), None);
        assert_eq!(Command::parse("/bye\n라고 했다"), None);
        for unknown in ["/what", "/save", "/set", "/bye now"] {
            assert_eq!(Command::parse(unknown), Some(Err(unknown.to_owned())));
        }
    }
}
