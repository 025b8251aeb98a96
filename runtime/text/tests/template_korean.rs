//! The prompt formats of Korean models, in templates of our own. The expected prompts are what the makers' model cards
//! show; `template.rs` compares what comes of further conversations with transformers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Map, Value, json};
use silhak_text::{ChatTemplate, DateTime, Message, RenderOptions, TemplateError, ToolCall};

const EXAONE_3_5: &str = include_str!("../src/template/builtin/exaone.jinja");
const EXAONE_4_0: &str = include_str!("../src/template/builtin/exaone4.jinja");
const K_EXAONE: &str = include_str!("../src/template/builtin/k-exaone.jinja");
const HYPERCLOVA_X_14B: &str = include_str!("../src/template/builtin/hyperclova-x-think-14b.jinja");
const HYPERCLOVA_X_32B: &str = include_str!("../src/template/builtin/hyperclova-x-think-32b.jinja");
const SOLAR_OPEN: &str = include_str!("../src/template/builtin/solar-open.jinja");
const EXAONE_DEEP: &str = include_str!("data/korean/exaone-deep.jinja");
const AX_4_0: &str = include_str!("data/korean/ax-4.0.jinja");

fn render(source: &str, messages: &[Message], options: Value) -> Result<String, TemplateError> {
    let mut options = options.as_object().cloned().unwrap_or_else(Map::new);
    let tools = options.remove("tools").map_or(Vec::new(), |tools| tools.as_array().unwrap().clone());
    let options = RenderOptions {
        tools,
        options,
        // 1 January 2026, half past midnight in Seoul and still the year before in Greenwich.
        now: Some(DateTime::from_unix(1_767_195_000, 9 * 3600)),
        ..RenderOptions::default()
    };
    ChatTemplate::parse(source)?.render(messages, &options)
}

fn question() -> Vec<Message> {
    vec![Message::user("실학이란?")]
}

fn conversation() -> Vec<Message> {
    vec![
        Message::system("짧게 답하세요."),
        Message::user("실학이란?"),
        Message::assistant("쓸모 있는 배움."),
        Message::user("예를 들면?"),
    ]
}

#[test]
fn exaone_3_5() {
    assert_eq!(
        render(EXAONE_3_5, &question(), json!({})).unwrap(),
        "[|system|][|endofturn|]\n[|user|]실학이란?\n[|assistant|]"
    );
    assert_eq!(
        render(EXAONE_3_5, &conversation(), json!({})).unwrap(),
        "[|system|]짧게 답하세요.[|endofturn|]\n[|user|]실학이란?\n\
         [|assistant|]쓸모 있는 배움.[|endofturn|]\n[|user|]예를 들면?\n[|assistant|]"
    );
}

#[test]
fn exaone_deep_drops_old_thoughts_and_opens_a_new_one() {
    let messages = [
        Message::user("3 * 7?"),
        Message::assistant("<thought>\n셋 곱하기 일곱\n</thought>\n\n21"),
        Message::user("두 배는?"),
    ];
    assert_eq!(
        render(EXAONE_DEEP, &messages, json!({})).unwrap(),
        "[|system|][|endofturn|]\n[|user|]3 * 7?\n[|assistant|]21[|endofturn|]\n\
         [|user|]두 배는?\n[|assistant|]<thought>\n"
    );
}

#[test]
fn exaone_4_0_thinks_only_when_asked() {
    let prompt = "[|user|]\n실학이란?[|endofturn|]\n[|assistant|]\n";
    for (options, tail) in [
        (json!({}), "<think>\n\n</think>\n\n"),
        (json!({"enable_thinking": false}), "<think>\n\n</think>\n\n"),
        (json!({"enable_thinking": true}), "<think>\n"),
    ] {
        let found = render(EXAONE_4_0, &question(), options).unwrap();
        assert_eq!(found, format!("{prompt}{tail}"));
    }
}

fn call_weather() -> Message {
    let arguments = json!({"도시": "서울", "일": 2}).as_object().unwrap().clone();
    let call = ToolCall { id: Some("a1b2c3d4e5".into()), ..ToolCall::new("날씨", arguments) };
    Message { tool_calls: vec![call], ..Message::assistant("") }
}

/// A question, a call of a tool and the tool's answer.
fn tool_use() -> Vec<Message> {
    let answer = Message { name: Some("날씨".into()), ..Message::tool("a1b2c3d4e5", "맑음 \"21도\"") };
    vec![Message::user("서울 날씨는?"), call_weather(), answer]
}

fn tools() -> Value {
    json!([{"name": "날씨", "parameters": {"type": "object", "required": ["도시"]}}])
}

const TOOL: &str = r#"{"name": "날씨", "parameters": {"type": "object", "required": ["도시"]}}"#;
const CALL: &str = r#"{"name": "날씨", "arguments": {"도시": "서울", "일": 2}}"#;

/// Asserts that the parts of `prompt` are these, in this order, with anything between.
#[track_caller]
fn assert_parts(prompt: &str, parts: &[&str]) {
    let mut rest = prompt;
    for part in parts {
        let (_, behind) = rest.split_once(part).unwrap_or_else(|| panic!("no {part:?} in {rest:?} of {prompt:?}"));
        rest = behind;
    }
    assert_eq!(rest, "", "of {prompt:?}");
}

#[test]
fn exaone_4_0_lists_and_answers_tools() {
    assert_parts(
        &render(EXAONE_4_0, &tool_use(), json!({"tools": tools()})).unwrap(),
        &[
            "[|system|]\n",
            &format!("<tool>{TOOL}</tool>[|endofturn|]\n[|user|]\n서울 날씨는?[|endofturn|]\n"),
            &format!("[|assistant|]\n<think>\n\n</think>\n\n<tool_call>{CALL}</tool_call>[|endofturn|]\n"),
            "[|tool|]\n<tool_result>{\"result\": \"맑음 \\\"21도\\\"\"}</tool_result>[|endofturn|]\n",
            "[|assistant|]\n<think>\n\n</think>\n\n",
        ],
    );
    let error = render(EXAONE_4_0, &[Message::new("ghost", "")], json!({})).unwrap_err();
    assert_eq!(error, TemplateError::Refused { message: "EXAONE 4.0 knows no role ghost".into() });
}

#[test]
fn exaone_4_0_leaves_an_empty_thought_in_history() {
    assert_eq!(
        render(EXAONE_4_0, &conversation(), json!({"enable_thinking": true})).unwrap(),
        "[|system|]\n짧게 답하세요.[|endofturn|]\n[|user|]\n실학이란?[|endofturn|]\n\
         [|assistant|]\n<think>\n\n</think>\n\n쓸모 있는 배움.[|endofturn|]\n\
         [|user|]\n예를 들면?[|endofturn|]\n[|assistant|]\n<think>\n"
    );
}

#[test]
fn k_exaone_thinks_unless_told_not_to() {
    let prompt = "<|user|>\n실학이란?<|endofturn|>\n<|assistant|>\n";
    let on = render(K_EXAONE, &question(), json!({})).unwrap();
    assert_eq!(on, format!("{prompt}<think>\n"));
    let off = render(K_EXAONE, &question(), json!({"enable_thinking": false})).unwrap();
    assert_eq!(off, format!("{prompt}<think>\n\n</think>\n\n"));
    let turns = render(K_EXAONE, &conversation()[..2], json!({})).unwrap();
    assert_eq!(turns, format!("<|system|>\n짧게 답하세요.<|endofturn|>\n{prompt}<think>\n"));
}

#[test]
fn hyperclova_x_14b_lets_the_model_choose() {
    let prompt = "<|im_start|>tool_list\n<|im_end|>\n<|im_start|>system\n<|im_end|>\n\
                  <|im_start|>user\n실학이란?<|im_end|>\n<|im_start|>assistant";
    for (options, tail) in [
        (json!({}), ""),
        (json!({"force_reasoning": true}), "/think\n"),
        (json!({"skip_reasoning": true}), "\n"),
        (json!({"force_reasoning": true, "skip_reasoning": true}), "/think\n"),
    ] {
        let found = render(HYPERCLOVA_X_14B, &question(), options).unwrap();
        assert_eq!(found, format!("{prompt}{tail}"));
    }
    assert_eq!(
        render(HYPERCLOVA_X_14B, &conversation(), json!({})).unwrap(),
        "<|im_start|>tool_list\n<|im_end|>\n<|im_start|>system\n짧게 답하세요.<|im_end|>\n\
         <|im_start|>user\n실학이란?<|im_end|>\n\
         <|im_start|>assistant\n쓸모 있는 배움.<|im_end|><|endofturn|>\n\
         <|im_start|>user\n예를 들면?<|im_end|>\n<|im_start|>assistant"
    );
}

#[test]
fn hyperclova_x_14b_calls_tools_in_a_role_of_its_own() {
    assert_eq!(
        render(HYPERCLOVA_X_14B, &tool_use(), json!({"tools": tools()})).unwrap(),
        format!(
            "<|im_start|>tool_list\n[{TOOL}]<|im_end|>\n<|im_start|>system\n<|im_end|>\n\
             <|im_start|>user\n서울 날씨는?<|im_end|>\n\
             <|im_start|>assistant -> tool/function_call\n[{CALL}]<|im_end|><|stop|>\n\
             <|im_start|>tool/function_call\n맑음 \"21도\"<|im_end|>\n<|im_start|>assistant"
        )
    );
}

#[test]
fn hyperclova_x_32b_thinks_only_when_asked() {
    let prompt = "<|im_start|>user\n실학이란?<|im_end|>\n<|im_start|>assistant\n";
    for (options, tail) in [
        (json!({}), "<think>\n\n</think>\n\n"),
        (json!({"thinking": false}), "<think>\n\n</think>\n\n"),
        (json!({"thinking": true}), "<think>\n"),
    ] {
        let found = render(HYPERCLOVA_X_32B, &question(), options).unwrap();
        assert_eq!(found, format!("{prompt}{tail}"));
    }
    assert_parts(
        &render(HYPERCLOVA_X_32B, &tool_use(), json!({"tools": tools()})).unwrap(),
        &[
            "<|im_start|>system\n",
            TOOL,
            "<|im_end|>\n<|im_start|>user\n서울 날씨는?<|im_end|>\n<|im_start|>assistant\n\
             <tool_call>날씨\n<arg_key>도시</arg_key>\n<arg_value>서울</arg_value>\n\
             <arg_key>일</arg_key>\n<arg_value>2</arg_value>\n</tool_call><|im_end|>\n\
             <|im_start|>tool\n<tool_response>날씨\n맑음 \"21도\"\n</tool_response><|im_end|>\n\
             <|im_start|>assistant\n<think>\n\n</think>\n\n",
        ],
    );
}

#[test]
fn solar_open_is_told_the_date() {
    let prompt = "<|begin|>system<|content|>Current date: 2026-01-01<|end|>\
                  <|begin|>user<|content|>실학이란?<|end|><|begin|>assistant";
    for (options, tail) in [
        (json!({}), ""),
        (json!({"reasoning_effort": "high"}), ""),
        (json!({"reasoning_effort": "low"}), "<|think|><|end|><|begin|>assistant"),
        (json!({"reasoning_effort": "minimal"}), "<|think|><|end|><|begin|>assistant"),
    ] {
        assert_eq!(render(SOLAR_OPEN, &question(), options).unwrap(), format!("{prompt}{tail}"));
    }
    let called = "<|begin|>assistant<|tool_calls|><|tool_call:begin|>a1b2c3d4e5<|tool_call:name|>날씨\
                  <|tool_call:args|>{\"도시\": \"서울\", \"일\": 2}<|tool_call:end|><|calls|>";
    assert_parts(
        &render(SOLAR_OPEN, &tool_use(), json!({"tools": tools()})).unwrap(),
        &[TOOL, called, "맑음 \"21도\"<|tool_response:end|><|end|><|begin|>assistant"],
    );
}

#[test]
fn ax_4_0_speaks_chatml() {
    let prompt = "<|im_start|>user\n실학이란?<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(render(AX_4_0, &question(), json!({})).unwrap(), prompt);
    assert_eq!(
        render(AX_4_0, &conversation()[..2], json!({})).unwrap(),
        format!("<|im_start|>system\n짧게 답하세요.<|im_end|>\n{prompt}")
    );
}
