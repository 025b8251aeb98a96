#!/usr/bin/env python3
"""Writes the small files that the tokenizer tests always have: runtime/text/tests/data/tokenizer-*.json.

    python3 runtime/text/tests/tokenizer/golden.py [FOLDER]

FOLDER is that of `reference.py`, which must have run before: the tokenizers and the library come from there.

    tokenizer-golden.json  {NAME: [[text, ids]]}: a few texts with the ids of real tokenizers
    tokenizer-tiny.json    {KIND: {tokens, types, merges or scores, cases: [[text, ids]]}}: two tokenizers small enough to
                           keep here, trained on the Universal Declaration of Human Rights
"""

import json
import sys
import unicodedata
from pathlib import Path

from reference import TOKENIZERS, default_folder, import_tokenizers

TEXTS = [
    "대한민국의 수도는 서울입니다.",
    unicodedata.normalize("NFD", "대한민국의 수도"),
    "대한민국(大韓民國)은 민주공화국이다.\n① 모든 권력은 국민으로부터 나온다.",
    "가격은 12,345원 (부가세 10% 포함)입니다!!",
    "ㅋㅋㅋㅋ ㅠㅠ 안뇽ㅎㅎ 😀👍🏽👨‍👩‍👧",
    "  띄어   쓰기\t탭\n\n  줄바꿈 \r\n끝  ",
    "갋뷁훫 똠방각하 펲시콜라",
    "훈민정음 ᄒᆞᆫ글 나랏말ᄊᆞ미 中國에 달아",
    "fn main() {\n    println!(\"안녕, {}!\", name);\n}\n",
    "I'VE said we're WE'LL they'd 'S",
    "2024년 3월 15일 오후 3:05 ½ ² Ⅻ ٣",
    "<|im_start|>user\n<start_of_turn> </s> <|eot_id|>",
    "https://example.kr/검색?q=한글&n=10#위",
    "café naïve e\u0301 ñ ﬁ Å",
    "日本語とカタカナ、简体字，繁體字。",
    "\u00a0\u3000\u200b\ufeff\u0000끝",
]


def main():
    folder = (Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()) / "tokenizer"
    library = import_tokenizers(folder / "python")
    golden = {}
    for name in TOKENIZERS:
        tokenizer = library.Tokenizer.from_file(str(folder / name / "tokenizer.json"))
        golden[name] = cases(tokenizer)
    declaration = json.loads((folder / "texts.json").read_text())["udhr"]
    corpus = [line.strip() for text in declaration[:2] for line in text.splitlines()]
    tiny = {"byte-level": byte_level(library, corpus), "sentence-piece": sentence_piece(library, corpus)}
    data = Path(__file__).parent.parent / "data"
    for name, content in {"golden": golden, "tiny": tiny}.items():
        rows = json.dumps(content, ensure_ascii=True, separators=(",", ":")).replace("],[", "],\n[").replace('},"', '},\n"')
        (data / f"tokenizer-{name}.json").write_text(rows + "\n")


def cases(tokenizer):
    tokenizer.encode_special_tokens = True
    return [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in TEXTS]


def byte_level(library, corpus):
    """As Qwen's: NFC, words cut by its expression, bytes, and added tokens special and not."""
    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.normalizer = library.normalizers.NFC()
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([
        library.pre_tokenizers.Split(library.Regex(words), "isolated"),
        library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    alphabet = library.pre_tokenizers.ByteLevel.alphabet()
    trainer = library.trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([library.AddedToken("띄어   쓰기", normalized=False)])
    return {
        "tokens": by_id(tokenizer),
        "types": [1] * len(model["vocab"]) + [3, 3, 4],
        "merges": [" ".join(pair) for pair in model["merges"]],
        "cases": cases(tokenizer),
    }


def sentence_piece(library, corpus):
    """As Llama 2's: a space before the text, whole texts cut nowhere, bytes for unknown characters."""
    marked = [text.replace(" ", "▁") for text in corpus]
    learner = library.Tokenizer(library.models.BPE())
    learner.train_from_iterator(marked, library.trainers.BpeTrainer(vocab_size=450, min_frequency=3, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    joined = ["".join(pair) for pair in learned["merges"]]
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    single = [token for token in learned["vocab"] if len(token) == 1]
    vocab = {token: id for id, token in enumerate(first + list(dict.fromkeys(joined)) + single)}
    # SentencePiece joins whatever makes a token, so each token is reached in every way.
    merges = [
        (token[:at], token[at:])
        for token in dict.fromkeys(joined)
        for at in range(1, len(token))
        if token[:at] in vocab and token[at:] in vocab
    ]
    tokenizer = library.Tokenizer(library.models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = library.normalizers.Sequence([
        library.normalizers.Prepend("▁"),
        library.normalizers.Replace(" ", "▁"),
    ])  # fmt: skip
    return {
        "tokens": by_id(tokenizer),
        "types": [2, 3, 3] + [6] * 256 + [1] * (len(vocab) - 259),
        "scores": [0] * 259 + [-rank for rank in range(len(vocab) - 259)],
        "cases": cases(tokenizer),
    }


def by_id(tokenizer):
    return [tokenizer.id_to_token(id) for id in range(tokenizer.get_vocab_size())]


if __name__ == "__main__":
    main()
