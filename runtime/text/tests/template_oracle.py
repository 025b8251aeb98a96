"""Renders chat templates with Python's Jinja2 as Hugging Face's transformers does.

    python3 template_oracle.py templates FOLDER       every *.jinja there -> FOLDER/expected.json
    python3 template_oracle.py gguf MODELS DATA       the models' own -> DATA/template-NAME.json
    python3 template_oracle.py features DATA          template-features.json -> with its results

Needs jinja2 == 3.1.6, and for `gguf` also gguf == 0.19.0. The conversations are those of
data/template-cases.json. A rendering that fails is written as `null`.

The templates of the first form are those that llama.cpp keeps; they come with the source package of
llama-cpp-python 0.3.36:

    pip download llama-cpp-python==0.3.36 --no-deps --no-binary :all:
    tar xzf llama_cpp_python-0.3.36.tar.gz --strip-components 5 -C FOLDER \
        llama_cpp_python-0.3.36/vendor/llama.cpp/models/templates
"""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = Path(__file__).parent
CASES = json.loads((HERE / "data/template-cases.json").read_text())


class Generation(jinja2.ext.Extension):
    """`{% generation %}`: marks the assistant's words and renders as its body does."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def strftime_now(form):
    return datetime.fromtimestamp(CASES["now"], timezone.utc).replace(tzinfo=None).strftime(form)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render(source, variables):
    """The text, or None if the template cannot be parsed or fails."""
    try:
        return environment().from_string(source).render(**variables)
    except Exception as error:
        print(f"    {type(error).__name__}: {error}", file=sys.stderr)
        return None


def expected(source, bos, eos):
    results = []
    for case in CASES["cases"]:
        variables = dict(
            messages=CASES["conversations"][case["conversation"]],
            tools=CASES["tools"] if case.get("tools") else None,
            documents=None,
            add_generation_prompt=case.get("generate", True),
        )
        variables |= {k: v for k, v in (("bos_token", bos), ("eos_token", eos)) if v is not None}
        results.append(render(source, variables | case.get("options", {})))
    return results


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def templates(folder):
    results = {}
    for path in sorted(Path(folder).glob("*.jinja")):
        print(path.name, file=sys.stderr)
        results[path.name] = expected(path.read_text(), CASES["bos_token"], CASES["eos_token"])
    write(Path(folder) / "expected.json", results)


def gguf(models, data):
    from gguf import GGUFReader

    for path in sorted(Path(models).glob("*.gguf")):
        fields = GGUFReader(path).fields
        if "tokenizer.chat_template" not in fields:
            continue
        tokens = fields["tokenizer.ggml.tokens"]

        def token(key):
            field = fields.get(f"tokenizer.ggml.{key}_token_id")
            return None if field is None else tokens.contents(field.contents())

        source = fields["tokenizer.chat_template"].contents()
        bos, eos = token("bos"), token("eos")
        results = dict(bos_token=bos, eos_token=eos, expected=expected(source, bos, eos))
        write(Path(data) / f"template-{path.stem}.json", results)


def features(data):
    path = Path(data) / "template-features.json"
    cases = json.loads(path.read_text())
    for case in cases:
        case["expected"] = render(case["template"], dict(messages=[], tools=None, documents=None))
    write(path, cases)


if __name__ == "__main__":
    {"templates": templates, "gguf": gguf, "features": features}[sys.argv[1]](*sys.argv[2:])
