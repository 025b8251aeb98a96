//! What the interactive chat says.

use std::io;
use std::path::Path;

use super::Lang::{self, En, Ko};
use crate::chat::SetError;

impl Lang {
    pub(crate) fn chat_greeting(self) -> &'static str {
        match self {
            Ko => "무엇이든 적어 보십시오. /help는 도움말, Ctrl-C는 답 멈추기, /bye나 Ctrl-D는 끝내기입니다.",
            En => "Type a message. /help explains more, Ctrl-C stops an answer, /bye or Ctrl-D leaves.",
        }
    }

    pub(crate) fn chat_help(self, names: &str) -> String {
        match self {
            Ko => format!(
                "/set 이름 값    설정을 바꿉니다: {names}\n\
                 /show           지금의 설정과 문맥의 길이를 보여 줍니다\n\
                 /clear          지금까지의 대화를 잊습니다\n\
                 /save 파일      대화를 JSON 파일로 저장합니다\n\
                 /load 파일      저장한 대화를 이어서 합니다\n\
                 /bye            끝냅니다 (Ctrl-D)\n\
                 \"\"\"             여러 줄을 \"\"\" 사이에 적습니다\n\
                 Ctrl-C          답을 멈춥니다"
            ),
            En => format!(
                "/set NAME VALUE  change a setting: {names}\n\
                 /show            show the settings and how much of the context is used\n\
                 /clear           forget the conversation\n\
                 /save FILE       save the conversation as JSON\n\
                 /load FILE       go on with a saved conversation\n\
                 /bye             leave (Ctrl-D)\n\
                 \"\"\"              put several lines between \"\"\"\n\
                 Ctrl-C           stop the answer"
            ),
        }
    }

    pub(crate) fn how_to_leave(self) -> &'static str {
        match self {
            Ko => "끝내려면 /bye를 적거나 Ctrl-D를 누르십시오.",
            En => "To leave, type /bye or press Ctrl-D.",
        }
    }

    pub(crate) fn unknown_command(self, line: &str) -> String {
        match self {
            Ko => format!("'{line}'은(는) 모르는 명령입니다. /help로 명령을 볼 수 있습니다."),
            En => format!("'{line}' is not a command; /help lists them"),
        }
    }

    pub(crate) fn cannot_set(self, error: &SetError, names: &str) -> String {
        match (self, error) {
            (Ko, SetError::UnknownName(name)) => {
                format!("'{name}'이라는 설정은 없습니다. 바꿀 수 있는 설정은 {names}입니다.")
            }
            (En, SetError::UnknownName(name)) => format!("there is no setting '{name}'; there are {names}"),
            (Ko, SetError::BadValue { name, value }) => {
                format!("'{value}'은(는) {name}에 쓸 수 없습니다. 알맞은 수를 적어 주십시오.")
            }
            (En, SetError::BadValue { name, value }) => {
                format!("'{value}' is no value for {name}; give a number that fits it")
            }
        }
    }

    pub(crate) fn not_think(self, value: &str) -> String {
        match self {
            Ko => format!("'{value}'은(는) think에 쓸 수 없습니다. auto, on, off 가운데 하나를 적어 주십시오."),
            En => format!("'{value}' is no value for think; give auto, on or off"),
        }
    }

    pub(crate) fn show_heads(self) -> [&'static str; 3] {
        match self {
            Ko => ["모델", "문맥 (토큰)", "system"],
            En => ["model", "context (tokens)", "system"],
        }
    }

    pub(crate) fn answer_stopped(self) -> &'static str {
        match self {
            Ko => "(멈춤)",
            En => "(stopped)",
        }
    }

    pub(crate) fn thought_cut(self) -> &'static str {
        match self {
            Ko => "(생각하는 동안 끝나 답이 없습니다. --max-tokens를 늘리시거나 --think off로 실행하십시오.)",
            En => {
                "(it ended while the model was thinking, so there is no answer; raise --max-tokens, or run with --think off)"
            }
        }
    }

    pub(crate) fn answer_cut(self, n_ctx: usize) -> String {
        match self {
            Ko => format!(
                "(max-tokens에 이르렀거나 문맥 {n_ctx}토큰이 가득 차 답을 멈췄습니다. /clear로 대화를 비우거나 --ctx를 늘려 실행하십시오.)"
            ),
            En => format!(
                "(stopped: max-tokens was reached, or the context of {n_ctx} tokens is full; /clear empties it, --ctx makes it longer)"
            ),
        }
    }

    pub(crate) fn cleared(self) -> &'static str {
        match self {
            Ko => "대화를 비웠습니다.",
            En => "The conversation is forgotten.",
        }
    }

    pub(crate) fn saved(self, path: &str) -> String {
        match self {
            Ko => format!("대화를 '{path}'에 저장했습니다."),
            En => format!("Saved the conversation in '{path}'."),
        }
    }

    pub(crate) fn cannot_save(self, path: &Path, error: &io::Error) -> String {
        let path = path.display();
        match self {
            Ko => format!("대화를 '{path}'에 저장할 수 없습니다({error}). /save로 다른 곳에 저장해 주십시오."),
            En => format!("the conversation cannot be saved in '{path}' ({error}); /save it in another place"),
        }
    }

    pub(crate) fn not_a_conversation(self, path: &Path, error: &serde_json::Error) -> String {
        let path = path.display();
        match self {
            Ko => format!("'{path}'은(는) 대화 파일이 아닙니다({error}). /save로 저장한 파일을 불러와 주십시오."),
            En => format!("'{path}' is not a conversation ({error}); load a file that /save has written"),
        }
    }

    pub(crate) fn loaded(self, path: &str, n_messages: usize) -> String {
        match self {
            Ko => format!("'{path}'에서 메시지 {n_messages}개를 불러왔습니다."),
            En => format!("Loaded {n_messages} messages from '{path}'."),
        }
    }
}
