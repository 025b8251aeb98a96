//! Templates that try to exhaust the machine: each must fail soon, and in little memory and stack.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it skipped")]

use std::time::{Duration, Instant};

use serde_json::Map;
use silhak_text::{ChatTemplate, Message, RenderOptions, TemplateError};

/// Long enough for a slow machine, and far from what an unbounded template would take.
const SOON: Duration = Duration::from_secs(2);

fn render(source: &str) -> Result<String, TemplateError> {
    ChatTemplate::parse(source)?.render(&[Message::user("안녕")], &RenderOptions::default())
}

/// Parses and renders on a stack half as large as a thread's usually is.
fn attack(source: String) -> (Result<String, TemplateError>, Duration) {
    let run = move || {
        let started = Instant::now();
        let result = render(&source);
        (result, started.elapsed())
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap()
}

fn assert_refused(name: &str, source: impl Into<String>) -> TemplateError {
    let (result, took) = attack(source.into());
    assert!(took < SOON, "{name} took {took:?}");
    let error = result.map(|text| text.len()).expect_err(name);
    println!("{name}: {took:?} {}", error.to_string().chars().take(120).collect::<String>());
    error
}

#[test]
fn nesting_of_the_source_is_bounded() {
    let twice = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    for (name, source) in [
        ("parentheses", format!("{{{{ {} }}}}", twice("(", ")", 6000))),
        ("brackets", format!("{{{{ {} }}}}", twice("[", "]", 6000))),
        ("braces", format!("{{{{ {} }}}}", twice("{1:", "}", 6000))),
        ("subscripts", format!("{{{{ {} }}}}", twice("a[", "]", 6000))),
        ("calls", format!("{{{{ {} }}}}", twice("f(", ")", 6000))),
        ("blocks", twice("{% if true %}", "{% endif %}", 3000)),
        ("loops", twice("{% for a in b %}", "{% endfor %}", 3000)),
        ("not", format!("{{{{ {}1 }}}}", "not ".repeat(50_000))),
        ("minus", format!("{{{{ {}1 }}}}", "-".repeat(200_000))),
        ("conditions", format!("{{{{ {}1 }}}}", "1 if 1 else ".repeat(20_000))),
        ("sums", format!("{{{{ 1{} }}}}", "+1".repeat(100_000))),
        ("attributes", format!("{{{{ a{} }}}}", ".a".repeat(100_000))),
        ("filters", format!("{{{{ a{} }}}}", "|e".repeat(100_000))),
        ("targets", format!("{{% for {}a{} in b %}}", "(".repeat(50_000), ")".repeat(50_000))),
        ("ands", format!("{{{{ 1{} }}}}", " and 1".repeat(30_000))),
    ] {
        let error = assert_refused(name, source);
        assert!(matches!(error, TemplateError::TooDeep { .. }), "{name}: {error}");
    }
}

#[test]
fn long_but_flat_sources_are_accepted() {
    let (result, _) = attack(format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(10_000)));
    assert_eq!(result.unwrap(), "");
    let (result, _) = attack(format!("{{{{ 'a'{} }}}}", "~'a'".repeat(10_000)));
    assert_eq!(result.unwrap().len(), 10_001);
    let (result, _) = attack("가".repeat(80_000));
    assert_eq!(result.unwrap().len(), 240_000);
}

#[test]
fn a_source_that_is_too_long_is_refused_unread() {
    let error = assert_refused("a long source", "{{".repeat(200_000));
    assert_eq!(error, TemplateError::TooLarge { found: 400_000, limit: 256 * 1024 });
}

#[test]
fn work_memory_and_output_are_bounded() {
    let huge = "{% set x = 'a' * 1000000 %}";
    for (name, source) in [
        ("nested loops", "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}".into()),
        ("a huge range", "{{ range(10**9) }}".into()),
        ("an infinite range", "{{ range(1, 2, 0) }}".into()),
        ("a huge string", "{{ 'a' * 10**9 }}".into()),
        ("a huge list", "{{ [1] * 10**9 }}".into()),
        ("a huge number", "{{ 10 ** 10 ** 10 }}".into()),
        (
            "doubling",
            "{% set n = namespace(s='a') %}{% for i in range(64) %}{% set n.s = n.s ~ n.s %}{% endfor %}".into(),
        ),
        ("output", "{% for i in range(100000) %}{{ 'a' * 100 }}{% endfor %}".into()),
        ("captured output", "{% set x %}{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}{% endset %}".into()),
        ("a wide field", "{{ '%1000000000d' % 1 }}".into()),
        ("a wide format", "{{ '{:1000000000}'.format(1) }}".into()),
        ("many wide formats", "{{ ('{0:1000}' * 100000).format(1) }}".into()),
        ("padding", "{{ 'a'.center(10**10) }}".into()),
        ("zeros", "{{ '1'.zfill(10**10) }}".into()),
        ("indentation", "{{ ('a\\n' * 1000)|indent(10**6) }}".into()),
        ("JSON indentation", "{{ [[[1]]]|tojson(indent=10**9) }}".into()),
        ("a replacement", format!("{huge}{{{{ x.replace('', x) }}}}")),
        ("a joining", format!("{huge}{{{{ x.join(x) }}}}")),
        ("searches", format!("{huge}{{% for i in range(100000) %}}{{{{ x.find('b') }}}}{{% endfor %}}")),
        ("comparisons", format!("{huge}{{% for i in range(100000) %}}{{{{ x == x ~ '' }}}}{{% endfor %}}")),
        ("splits", format!("{huge}{{% for i in range(100000) %}}{{% set y = x.split('a') %}}{{% endfor %}}")),
        ("lower case", format!("{huge}{{% for i in range(100000) %}}{{% set y = x|lower %}}{{% endfor %}}")),
        ("slices", format!("{huge}{{% for i in range(100000) %}}{{% set y = x[1:] %}}{{% endfor %}}")),
        ("sorting", "{% for i in range(1000) %}{% set y = range(100000)|sort %}{% endfor %}".into()),
        ("uniqueness", "{{ range(100000)|unique|list }}".into()),
        ("products", "{{ range(100000)|batch(1, 0)|map('batch', 1)|map('list')|list * 1000 }}".into()),
    ] {
        assert_refused(name, source);
    }
}

#[test]
fn values_that_hold_themselves_or_copies_of_themselves_are_bounded() {
    for (name, source) in [
        ("a namespace in itself", "{% set n = namespace() %}{% set n.x = n %}{{ n }}"),
        ("a namespace in its list", "{% set n = namespace() %}{% set n.x = [n] %}{{ n.x }}"),
        ("a deep list", "{% set n = namespace(x=[]) %}{% for i in range(90000) %}{% set n.x = [n.x] %}{% endfor %}"),
        ("a deep dict", "{% set n = namespace(x={}) %}{% for i in range(90000) %}{% set n.x = {1: n.x} %}{% endfor %}"),
        (
            "2^50 copies, printed",
            "{% set n = namespace(x=[1]) %}{% for i in range(50) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
        ),
        (
            "2^50 copies, joined to text",
            "{% set n = namespace(x=[1]) %}{% for i in range(50) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x ~ '' }}",
        ),
        (
            "2^50 copies, as JSON",
            "{% set n = namespace(x=[1]) %}{% for i in range(50) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x|tojson }}",
        ),
        (
            "2^50 copies, compared",
            "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(50) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
        ),
    ] {
        assert_refused(name, source);
    }
}

#[test]
fn recursion_is_bounded() {
    for (name, source) in [
        ("a macro", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        ("two macros", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}"),
        ("a macro in an argument", "{% macro f(x) %}{{ f(f(x)) }}{% endmacro %}{{ f(1) }}"),
        ("a macro in a default", "{% macro f(x=f()) %}{{ x }}{% endmacro %}{{ f() }}"),
        ("a call block", "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}"),
        (
            "callers",
            "{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}",
        ),
    ] {
        assert_refused(name, source);
    }
}

#[test]
fn nothing_outside_can_be_reached() {
    for (name, source) in [
        ("include", "{% include '/etc/passwd' %}"),
        ("import", "{% import 'os' as os %}"),
        ("from", "{% from 'os' import system %}"),
        ("extends", "{% extends 'base' %}"),
        ("block", "{% block a %}{% endblock %}"),
        ("classes", "{{ ''.__class__.__mro__[1].__subclasses__() }}"),
        ("globals", "{{ range.__globals__['os'] }}"),
        ("self", "{{ self.__init__.__globals__ }}"),
        ("cycler", "{{ cycler.__init__.__globals__.os.popen('id').read() }}"),
        ("format", "{{ '{0.__class__}'.format('') }}"),
        ("changing a list", "{{ messages.append(1) }}"),
        ("changing a dict", "{{ messages[0].update(role='system') }}"),
    ] {
        assert_refused(name, source);
    }
}

#[test]
fn only_known_options_are_passed_on() {
    let template = ChatTemplate::parse("{{ messages|length }}{{ enable_thinking }}").unwrap();
    let with = |key: &str| RenderOptions {
        options: Map::from_iter([(key.to_owned(), true.into())]),
        ..RenderOptions::default()
    };
    let messages = [Message::user("안녕")];
    assert_eq!(template.render(&messages, &with("enable_thinking")).unwrap(), "1True");
    for key in ["messages", "tools", "add_generation_prompt", "bos_token", "raise_exception", "x"] {
        let error = template.render(&messages, &with(key)).unwrap_err();
        assert!(matches!(&error, TemplateError::UnknownOption { .. }), "{error}");
        assert!(error.to_string().contains(key));
    }
}

#[test]
fn errors_name_the_line() {
    let line = |source: &str| match render(source).unwrap_err() {
        TemplateError::Syntax { line, .. }
        | TemplateError::Render { line, .. }
        | TemplateError::OutOfFuel { line }
        | TemplateError::TooDeep { line, .. } => line,
        other => panic!("{other} has no line"),
    };
    assert_eq!(line("a\nb\n{{ 1 + }}"), 3);
    assert_eq!(line("{# a\nb #}\n{{ 1 +\n 'x' }}\n"), 4);
    assert_eq!(line("a\n{% for i in range(100000) %}\n{% for j in range(100000) %}{% endfor %}{% endfor %}"), 3);
    assert_eq!(line(&format!("\n\n{{{{ {} }}}}", "(".repeat(100))), 3);
    assert_eq!(render("{{ raise_exception('그만') }}").unwrap_err(), TemplateError::Refused { message: "그만".into() });
}

#[test]
fn a_long_conversation_is_not_mistaken_for_an_attack() {
    let messages: Vec<Message> =
        (0..2000).map(|i| Message::new(if i % 2 == 0 { "user" } else { "assistant" }, "실학 ".repeat(200))).collect();
    let template = ChatTemplate::parse(
        "{% for m in messages %}{% if '</think>' in m.content %}{% set c = m.content.split('</think>')[-1] %}\
         {% else %}{% set c = m.content %}{% endif %}<|{{ m.role }}|>\n{{ c | trim }}\n{% endfor %}",
    )
    .unwrap();
    let started = Instant::now();
    let prompt = template.render(&messages, &RenderOptions::default()).unwrap();
    assert!(prompt.len() > 2_000_000);
    assert!(started.elapsed() < SOON);
}
