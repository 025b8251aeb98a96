use serde_json::{Value, json};

use super::*;
use crate::{ReasoningSplitter, ReasoningTags, ToolCall};

const FORMATS: [ToolCallFormat; 4] =
    [ToolCallFormat::Hermes, ToolCallFormat::RoleSwitch, ToolCallFormat::KeyValue, ToolCallFormat::Solar];

/// What comes of an answer that arrives in pieces of `len` characters.
fn split(format: ToolCallFormat, answer: &str, len: usize) -> AnswerPiece {
    let mut splitter = ToolCallSplitter::new(format);
    let characters: Vec<char> = answer.chars().collect();
    let mut whole = AnswerPiece::default();
    let mut pieces: Vec<AnswerPiece> =
        characters.chunks(len).map(|piece| splitter.push(&piece.iter().collect::<String>())).collect();
    pieces.push(splitter.finish());
    for piece in pieces {
        whole.text += &piece.text;
        whole.calls.extend(piece.calls);
    }
    whole
}

/// The text and the calls of an answer, which are the same wherever its pieces end.
#[track_caller]
fn parts(format: ToolCallFormat, answer: &str) -> (String, Vec<Result<ToolCall, ToolCallError>>) {
    let whole = split(format, answer, usize::MAX);
    for len in 1..=8 {
        assert_eq!(split(format, answer, len), whole, "{answer:?} by {len}");
    }
    (whole.text, whole.calls)
}

fn call(name: &str, arguments: Value) -> Result<ToolCall, ToolCallError> {
    Ok(ToolCall::new(name, arguments.as_object().unwrap().clone()))
}

fn weather(city: &str) -> Result<ToolCall, ToolCallError> {
    call("날씨", json!({"도시": city}))
}

#[test]
fn templates_tell_the_format() {
    for (source, format) in [
        ("{{ '<tool_call>\\n' }}{{ call | tojson }}", Some(ToolCallFormat::Hermes)),
        ("{{ '<tool_call>' ~ name }}<arg_key>{{ k }}</arg_key>", Some(ToolCallFormat::KeyValue)),
        ("{{ '<|im_start|>assistant -> tool/function_call\\n' }}", Some(ToolCallFormat::RoleSwitch)),
        ("{{ '<|tool_call:begin|>' ~ call.id }}", Some(ToolCallFormat::Solar)),
        ("<tool_call>\n<function={{ name }}>", None),
        ("{{ '<|im_start|>' }}", None),
    ] {
        assert_eq!(ToolCallFormat::of_template(source), format, "{source}");
    }
}

#[test]
fn hermes() {
    let seoul = r#"<tool_call>{"name": "날씨", "arguments": {"도시": "서울"}}</tool_call>"#;
    let busan = "<tool_call>\n{\"arguments\": {\"도시\": \"부산\"},\n \"name\": \"날씨\"}\n</tool_call>";
    let format = ToolCallFormat::Hermes;
    assert_eq!(parts(format, seoul), (String::new(), vec![weather("서울")]));
    assert_eq!(
        parts(format, &format!("둘 다 볼게요.\n\n{seoul}\n{busan}\n")),
        ("둘 다 볼게요.".into(), vec![weather("서울"), weather("부산")])
    );
    assert_eq!(
        parts(format, &format!("\n{seoul} 먼저 서울,\n{busan}\n부산도.\n")),
        ("먼저 서울,\n\n부산도.\n".into(), vec![weather("서울"), weather("부산")])
    );
    // Complete without its closing mark.
    assert_eq!(parts(format, &seoul[..seoul.len() - "</tool_call>".len()]), (String::new(), vec![weather("서울")]));
}

#[test]
fn role_switch() {
    let format = ToolCallFormat::RoleSwitch;
    let begin = " -> tool/function_call\n";
    for json in [
        r#"{"name": "날씨", "input": {"도시": "서울"}}"#,
        r#"{"name": "날씨", "parameters": {"도시": "서울"}}"#,
        r#"[{"name": "날씨", "arguments": {"도시": "서울"}}]"#,
        r#" [ {"name": "날씨", "arguments": "{\"도시\": \"서울\"}"} ] "#,
    ] {
        assert_eq!(parts(format, &format!("{begin}{json}<|im_end|>")), (String::new(), vec![weather("서울")]));
        assert_eq!(parts(format, &format!("{begin}{json}")), (String::new(), vec![weather("서울")]));
        assert_eq!(
            parts(format, &format!("\n찾아볼게요.<|im_end|>\n<|im_start|>assistant{begin}{json}<|im_end|>")),
            ("\n찾아볼게요.".into(), vec![weather("서울")])
        );
    }
    let two = format!(r#"{begin}[{{"name": "시각"}}, {{"name": "날씨", "input": {{"도시": "부산"}}}}]<|im_end|>"#);
    assert_eq!(parts(format, &two), (String::new(), vec![call("시각", json!({})), weather("부산")]));
    assert_eq!(parts(format, "하나.<|im_end|>\n<|im_start|>assistant\n둘.<|im_end|>"), ("하나.\n둘.".into(), vec![]));
}

#[test]
fn key_value() {
    let format = ToolCallFormat::KeyValue;
    let answer = "볼게요.\n<tool_call>예약\n<arg_key>도시</arg_key>\n<arg_value>서울 \"강남\"\n</arg_value>\n\
                  <arg_key>날</arg_key>\n<arg_value>[1, 2]</arg_value>\n\
                  <arg_key>창가</arg_key><arg_value>true</arg_value></tool_call>\n<tool_call>시각\n</tool_call>";
    assert_eq!(
        parts(format, answer),
        (
            "볼게요.".into(),
            vec![call("예약", json!({"도시": "서울 \"강남\"\n", "날": [1, 2], "창가": true})), call("시각", json!({})),]
        )
    );
}

#[test]
fn solar() {
    let format = ToolCallFormat::Solar;
    let call_of = |id: &str, city: &str| {
        format!(
            "<|tool_call:begin|>{id}<|tool_call:name|>날씨<|tool_call:args|>{{\"도시\": \"{city}\"}}<|tool_call:end|>"
        )
    };
    let with_id = |id: &str, city: &str| weather(city).map(|call| ToolCall { id: Some(id.to_owned()), ..call });
    let (seoul, busan) = (call_of("a1b2c3d4e5", "서울"), call_of("f6g7h8i9j0", "부산"));
    assert_eq!(
        parts(format, &format!("<|tool_calls|>{seoul}{busan}<|calls|>")),
        (String::new(), vec![with_id("a1b2c3d4e5", "서울"), with_id("f6g7h8i9j0", "부산")])
    );
    assert_eq!(
        parts(format, &format!("<|content|>볼게요.<|end|><|begin|>assistant<|tool_calls|>{seoul}<|calls|>")),
        ("볼게요.".into(), vec![with_id("a1b2c3d4e5", "서울")])
    );
    assert_eq!(parts(format, &call_of("", "서울")), (String::new(), vec![weather("서울")]));
}

/// What stands in a value ends no call.
#[test]
fn closing_marks_within_values_are_values() {
    for (format, answer) in [
        (ToolCallFormat::Hermes, r#"<tool_call>{"name": "쓰기", "arguments": {"글": "\"</tool_call>\\"}}</tool_call>"#),
        (
            ToolCallFormat::KeyValue,
            "<tool_call>쓰기<arg_key>글</arg_key><arg_value>\"</tool_call>\\</arg_value></tool_call>",
        ),
    ] {
        let expected = call("쓰기", json!({"글": "\"</tool_call>\\"}));
        assert_eq!(parts(format, answer), (String::new(), vec![expected]), "{format:?}");
    }
}

#[test]
fn a_mark_that_begins_no_call_is_text() {
    for (format, text) in [
        (ToolCallFormat::Hermes, "도구는 <tool_call> 태그로 부릅니다."),
        (ToolCallFormat::Hermes, "<tool_call></tool_call> 사이에 JSON이 온다. 1 < 2, <b>, <tool"),
        (ToolCallFormat::Hermes, "<tool_call>"),
        (ToolCallFormat::RoleSwitch, "역할 이름은 -> tool/function_call\n입니다."),
        (ToolCallFormat::RoleSwitch, "->"),
        (ToolCallFormat::RoleSwitch, " -> tool/function_call\n은 역할이다."),
        (ToolCallFormat::KeyValue, "<tool_call> 태그 안에 <arg_key>를 쓴다."),
        (ToolCallFormat::KeyValue, "<tool_call></tool_call> 사이에 이름이 온다."),
        (ToolCallFormat::Solar, "<|tool_call:begin|> 다음에 id가 온다. <|tool"),
    ] {
        assert_eq!(parts(format, text), (text.to_owned(), vec![]), "{format:?}");
    }
    let blank = format!("<tool_call>{}{{", " ".repeat(300));
    assert_eq!(parts(ToolCallFormat::Hermes, &blank), (blank, vec![]));
}

#[test]
fn calls_that_cannot_be_read_are_errors_with_all_that_was_written() {
    for (format, broken, expected) in [
        (ToolCallFormat::Hermes, r#"<tool_call>{"name": "날씨", }</tool_call>"#, "expected JSON, found"),
        (ToolCallFormat::Hermes, r#"<tool_call>{"name": "날씨", "input": 3}</tool_call>"#, "as an object, found 3"),
        (ToolCallFormat::Hermes, r#"<tool_call>{"arguments": {}}</tool_call>"#, "expected a field \"name\""),
        (ToolCallFormat::Hermes, r#"<tool_call>{"name": 7}</tool_call>"#, "the name of a tool, found 7"),
        (ToolCallFormat::Hermes, "<tool_call>[1]</tool_call>", "a name and arguments, found 1"),
        (ToolCallFormat::Hermes, "<tool_call>[]</tool_call>", "a name and arguments, found []"),
        (ToolCallFormat::Hermes, r#"<tool_call>{"name": "날씨"", "a": {}}</tool_call>"#, "expected JSON, found"),
        (ToolCallFormat::RoleSwitch, "-> tool/function_call\n[{]<|im_end|>", "expected JSON, found"),
        (
            ToolCallFormat::KeyValue,
            "<tool_call>날씨<arg_key>도시</arg_key>서울</tool_call>",
            "expected <arg_value>..</arg_value>, found",
        ),
        (
            ToolCallFormat::Solar,
            "<|tool_call:begin|>id<|tool_call:name|>날씨<|tool_call:args|>서울<|tool_call:end|>",
            "as a JSON object, found",
        ),
        (
            ToolCallFormat::Solar,
            "<|tool_call:begin|>id<|tool_call:name|>날씨{}<|tool_call:end|>",
            "expected <|tool_call:args|>, found",
        ),
    ] {
        let (text, calls) = parts(format, &format!("{broken}\n\n다시."));
        assert_eq!(text, "다시.", "{broken}");
        let [Err(ToolCallError::Malformed { text, detail })] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!(text, broken);
        assert!(detail.contains(expected), "{detail}");
    }
}

#[test]
fn calls_that_are_cut_off_are_errors_with_all_that_was_written() {
    for (format, cut) in [
        (ToolCallFormat::Hermes, r#"<tool_call>{"name": "날씨", "arguments": {"도시": "서"#),
        (ToolCallFormat::Hermes, r#"<tool_call>{"name": "날씨", "arguments": {"도시": "서\"#),
        (ToolCallFormat::RoleSwitch, "-> tool/function_call\n[{\"name\": \"날씨\"}"),
        (ToolCallFormat::KeyValue, "<tool_call>날씨<arg_key>도시</arg_key><arg_value>서울</arg_value>"),
        (ToolCallFormat::Solar, "<|tool_call:begin|>id<|tool_call:name|>날씨<|tool_call:args|>{"),
    ] {
        let (text, calls) = parts(format, cut);
        assert_eq!((text.as_str(), calls), ("", vec![Err(ToolCallError::CutOff { text: cut.to_owned() })]));
    }
}

/// Text comes out as soon as it cannot be part of a call.
#[test]
fn nothing_is_held_back_without_need() {
    let mut splitter = ToolCallSplitter::new(ToolCallFormat::Hermes);
    assert_eq!(splitter.push("가나 <").text, "가나");
    assert_eq!(splitter.push("b> 다").text, " <b> 다");
    assert_eq!(splitter.push("<tool_call> ").text, "");
    assert_eq!(splitter.push("라").text, "<tool_call> 라");
    assert_eq!(splitter.push("\n<tool_call>{\"name\": \"시각\"}</tool_call").calls, []);
    assert_eq!(splitter.push(">").calls, [call("시각", json!({}))]);
}

/// HyperCLOVA X Think 14B calls a tool right behind its thinking.
#[test]
fn a_call_behind_thinking_is_no_thinking() {
    let mut reasoning = ReasoningSplitter::new(ReasoningTags::ROLE_SWITCH, "<|im_start|>assistant/think\n");
    let mut calls = ToolCallSplitter::new(ToolCallFormat::RoleSwitch);
    let output = "-> tool/function_call\n을 쓰자.<|im_end|>\n<|im_start|>assistant -> tool/function_call\n\
                  [{\"name\": \"날씨\", \"arguments\": {\"도시\": \"서울\"}}]<|im_end|>";
    let parted = reasoning.push(output);
    assert_eq!(parted.reasoning, "-> tool/function_call\n을 쓰자.");
    let piece = calls.push(&parted.answer);
    assert_eq!((piece.text.as_str(), piece.calls), ("", vec![weather("서울")]));
}

/// Whatever a model writes, pieces do not matter and no word is lost.
#[test]
fn nothing_is_lost_of_any_answer() {
    const WORDS: [&str; 25] = [
        "<tool_call>",
        "</tool_call>",
        "<arg_key>",
        "</arg_key>",
        "<arg_value>",
        "</arg_value>",
        "이름",
        "{",
        "}",
        "[",
        "\"",
        "\\",
        "\n",
        " ",
        "<",
        "<|tool_call:begin|>",
        "<|tool_call:name|>",
        "<|tool_call:args|>",
        "<|tool_call:end|>",
        "-> tool/function_call\n",
        "<|im_start|>assistant -> tool/function_call\n",
        "<|im_end",
        "<|im_end|>",
        "{\"name\": 1}",
        "날씨 ",
    ];
    let letters = |text: &str| {
        // It frames texts and says nothing.
        let text = text.replace("<|im_end|>", "");
        let mut letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        letters.sort_unstable();
        letters
    };
    let mut state = 1_u64;
    for format in FORMATS {
        let mut n_broken = 0;
        for _ in 0..2000 {
            let mut answer = String::new();
            for _ in 0..20 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                answer += WORDS[(state >> 33) as usize % WORDS.len()];
            }
            let (mut found, calls) = parts(format, &answer);
            let n_calls = calls.len();
            let broken: Vec<ToolCallError> = calls.into_iter().filter_map(Result::err).collect();
            if broken.len() < n_calls {
                continue;
            }
            n_broken += n_calls;
            for ToolCallError::CutOff { text } | ToolCallError::Malformed { text, .. } in broken {
                found += &text;
            }
            assert_eq!(letters(&found), letters(&answer), "{format:?} {answer:?}");
        }
        assert!(n_broken > 15, "{format:?}: {n_broken}");
    }
}
