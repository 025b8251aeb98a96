"""Renders our own templates of Korean models with transformers' `apply_chat_template`.

    python3 template_vectors.py

writes data/template-vectors.json: for every template what comes of each case of data/korean-cases.json, in their order;
`null` where the template refuses the conversation. Needs transformers == 5.24.0 and jinja2 == 3.1.6.
"""

import json
from datetime import datetime, timezone
from pathlib import Path

import jinja2
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

HERE = Path(__file__).parent
CASES = json.loads((HERE / "data/korean-cases.json").read_text())
FOLDERS = [HERE / "../src/template/builtin", HERE / "data/korean"]


class Clock(datetime):
    """The time that `strftime_now` tells a template."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(CASES["now"], tz or timezone.utc)


def render(source, case):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>")), chat_template=source
    )
    try:
        return tokenizer.apply_chat_template(
            CASES["conversations"][case["conversation"]],
            tools=CASES["tools"] if case.get("tools") else None,
            add_generation_prompt=case.get("generate", True),
            tokenize=False,
            **case.get("options", {}),
        )
    except jinja2.exceptions.TemplateError as error:
        print(f"{case}: {error}")
        return None


chat_template_utils.datetime = Clock
paths = sorted((path for folder in FOLDERS for path in folder.glob("*.jinja")), key=lambda path: path.stem)
vectors = {path.stem: [render(path.read_text(), case) for case in CASES["cases"]] for path in paths}
(HERE / "data/template-vectors.json").write_text(json.dumps(vectors, ensure_ascii=False, indent=1) + "\n")
