//! The prompt formats of Korean models, in templates of our own with the language features that the
//! makers' templates use. The expected prompts are what the makers' model cards show.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Map, Value, json};
use silhak_text::{ChatTemplate, DateTime, Message, RenderOptions, TemplateError, ToolCall};

const EXAONE_3_5: &str = "\
{%- for message in messages -%}
    {%- if loop.first and message['role'] != 'system' -%}
        {{- '[|system|][|endofturn|]\\n' -}}
    {%- endif -%}
    {{- '[|' + message['role'] + '|]' + message['content'] -}}
    {%- if message['role'] == 'user' -%}
        {{- '\\n' -}}
    {%- else -%}
        {{- '[|endofturn|]\\n' -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '[|assistant|]' -}}
{%- endif -%}
";

const EXAONE_DEEP: &str = "\
{%- for message in messages %}
    {%- if loop.first and message.role != 'system' %}{{ '[|system|][|endofturn|]\\n' }}{% endif %}
    {%- set content = message.content %}
    {%- if '</thought>' in content %}
        {%- set content = content.split('</thought>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '[|' ~ message.role ~ '|]' ~ content }}
    {%- if not message.role == 'user' %}{{ '[|endofturn|]' }}{% endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '[|assistant|]<thought>\\n' }}{% endif %}";

const EXAONE_4_0: &str = r#"
{%- if not enable_thinking is defined %}{% set enable_thinking = false %}{% endif %}
{%- set tags = {'system': '[|system|]', 'user': '[|user|]', 'assistant': '[|assistant|]', 'tool': '[|tool|]'} %}
{%- macro available(tools) %}
    {%- for tool in tools %}
        {{- '<tool>' }}{{ tool | tojson(ensure_ascii=False) | safe }}{{ '</tool>' }}
        {%- if not loop.last %}{{ '\n' }}{% endif %}
    {%- endfor %}
{%- endmacro %}
{%- set ns = namespace(last_user=-1) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{% set ns.last_user = loop.index0 %}{% endif %}
{%- endfor %}
{%- if tools is defined and tools and messages[0].role != 'system' %}
    {{- tags['system'] + '\n' + available(tools) + '[|endofturn|]\n' }}
{%- endif %}
{%- for message in messages %}
    {%- set role = message.role %}
    {%- if role not in tags %}
        {%- if role is string and role.startswith('x-') %}{% continue %}{% endif %}
        {{- raise_exception('unknown role: ' + role) }}
    {%- endif %}
    {{- tags[role] + '\n' }}
    {%- if role == 'tool' %}
        {{- '<tool_result>' }}{{ {'result': message.content} | tojson(ensure_ascii=False) | safe }}{{ '</tool_result>' }}
    {%- elif role == 'assistant' %}
        {%- set answer = message.content %}
        {%- if '</think>' in answer %}{% set answer = answer.split('</think>')[-1].strip() %}{% endif %}
        {{- '<think>\n\n</think>\n\n' + answer }}
        {%- for call in message.tool_calls or [] %}
            {{- '<tool_call>' }}{{ call.function | tojson(ensure_ascii=False) | safe }}{{ '</tool_call>' }}
        {%- endfor %}
    {%- else %}
        {{- message.content.strip() }}
    {%- endif %}
    {{- '[|endofturn|]\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- tags['assistant'] + '\n' }}
    {%- if enable_thinking %}{{ '<think>\n' }}{% else %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
{%- endif %}"#;

const K_EXAONE: &str = r#"
{%- for message in messages %}
    {{- '<|' ~ message.role ~ '|>\n' ~ message.content | trim ~ '<|endofturn|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|>\n' }}
    {{- '<think>\n' if enable_thinking | default(true) else '<think>\n\n</think>\n\n' }}
{%- endif %}"#;

const HYPERCLOVA_X_THINK: &str = r#"
{%- set start = '<|im_start|>' %}{% set end = '<|im_end|>\n' %}
{{- start + 'tool_list\n' + (tools | tojson(ensure_ascii=false) if tools else '') + end }}
{%- for message in messages %}
    {%- if message.role == 'system' %}
        {{- start + 'system\n' + message.content + end }}
    {%- elif message.role == 'user' %}
        {{- start + 'user\n' + message.content + end }}
    {%- else %}
        {{- start + 'assistant\n' + message.content + end.rstrip() + '<|endofturn|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- start + 'assistant' }}
    {%- if force_reasoning is defined and force_reasoning is true %}
        {{- '/think\n' }}
    {%- elif skip_reasoning is defined and skip_reasoning is true %}
        {{- '\n' }}
    {%- endif %}
{%- endif %}"#;

const SOLAR_OPEN: &str = r#"
{%- set effort = reasoning_effort | default('high') %}
{{- '<|begin|>system<|content|>' }}
{{- 'Current date: ' + strftime_now('%Y-%m-%d') }}
{{- '<|end|>' }}
{%- for message in messages %}
    {{- '<|begin|>%s<|content|>%s<|end|>' | format(message.role, message.content) }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|begin|>assistant' }}
    {%- if effort in ['low', 'minimal'] %}{{ '<|think|><|end|><|begin|>assistant<|content|>' }}{% endif %}
{%- endif %}"#;

const CHATML: &str = "\
{%- if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
";

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

#[test]
fn exaone_4_0_lists_and_answers_tools_in_korean() {
    let arguments = json!({"도시": "서울", "일": 2}).as_object().unwrap().clone();
    let mut call = Message::assistant("");
    call.tool_calls = vec![ToolCall::new("날씨", arguments)];
    let messages = [
        Message::user(" 서울 날씨는? "),
        call,
        Message::tool("1", "맑음 \"21\u{b0}\""),
        Message::new("x-note", "skipped"),
    ];
    let tools = json!([{"name": "날씨", "parameters": {"type": "object", "required": ["도시"]}}]);
    assert_eq!(
        render(EXAONE_4_0, &messages, json!({"tools": tools})).unwrap(),
        "[|system|]\n<tool>{\"name\": \"날씨\", \"parameters\": {\"type\": \"object\", \
         \"required\": [\"도시\"]}}</tool>[|endofturn|]\n\
         [|user|]\n서울 날씨는?[|endofturn|]\n\
         [|assistant|]\n<think>\n\n</think>\n\n<tool_call>{\"name\": \"날씨\", \"arguments\": \
         {\"도시\": \"서울\", \"일\": 2}}</tool_call>[|endofturn|]\n\
         [|tool|]\n<tool_result>{\"result\": \"맑음 \\\"21\u{b0}\\\"\"}</tool_result>[|endofturn|]\n\
         [|assistant|]\n<think>\n\n</think>\n\n"
    );
    let error = render(EXAONE_4_0, &[Message::new("ghost", "")], json!({})).unwrap_err();
    assert_eq!(error, TemplateError::Refused { message: "unknown role: ghost".into() });
}

#[test]
fn k_exaone_thinks_unless_told_not_to() {
    let prompt = "<|user|>\n실학이란?<|endofturn|>\n<|assistant|>\n";
    let on = render(K_EXAONE, &question(), json!({})).unwrap();
    assert_eq!(on, format!("{prompt}<think>\n"));
    let off = render(K_EXAONE, &question(), json!({"enable_thinking": false})).unwrap();
    assert_eq!(off, format!("{prompt}<think>\n\n</think>\n\n"));
}

#[test]
fn hyperclova_x_think_lets_the_model_choose() {
    let prompt = "<|im_start|>tool_list\n<|im_end|>\n<|im_start|>user\n실학이란?<|im_end|>\n\
                  <|im_start|>assistant";
    for (options, tail) in [
        (json!({}), ""),
        (json!({"force_reasoning": true}), "/think\n"),
        (json!({"skip_reasoning": true}), "\n"),
        (json!({"force_reasoning": true, "skip_reasoning": true}), "/think\n"),
    ] {
        let found = render(HYPERCLOVA_X_THINK, &question(), options).unwrap();
        assert_eq!(found, format!("{prompt}{tail}"));
    }
    let turns = render(HYPERCLOVA_X_THINK, &conversation(), json!({})).unwrap();
    assert!(turns.contains("assistant\n쓸모 있는 배움.<|im_end|><|endofturn|>\n<|im_start|>user"));
}

#[test]
fn solar_open_is_told_the_date() {
    let prompt = "<|begin|>system<|content|>Current date: 2026-01-01<|end|>\
                  <|begin|>user<|content|>실학이란?<|end|><|begin|>assistant";
    assert_eq!(render(SOLAR_OPEN, &question(), json!({})).unwrap(), prompt);
    let low = render(SOLAR_OPEN, &question(), json!({"reasoning_effort": "low"})).unwrap();
    assert_eq!(low, format!("{prompt}<|think|><|end|><|begin|>assistant<|content|>"));
}

#[test]
fn chatml() {
    assert_eq!(
        render(CHATML, &question(), json!({})).unwrap(),
        "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n실학이란?<|im_end|>\n\
         <|im_start|>assistant\n"
    );
    assert_eq!(
        render(CHATML, &conversation()[..2], json!({})).unwrap(),
        "<|im_start|>system\n짧게 답하세요.<|im_end|>\n<|im_start|>user\n실학이란?<|im_end|>\n\
         <|im_start|>assistant\n"
    );
}
