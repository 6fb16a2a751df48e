#!/usr/bin/env python3
"""Writes tests/fixtures/tokenizers/symbols-bpe.model and symbols-unigram.model: SentencePiece
models with user-defined symbols, and beside each what SentencePiece makes of some texts.

    pip install sentencepiece
    python3 tests/make_symbols_fixture.py

A rule of normalisation turns two full-width letters into A and B; the first of them is also a
symbol, which stays as it is. Needs ../shared/data.
"""

import io
import json
import random
import tempfile

import sentencepiece

OUT = "tests/fixtures/tokenizers/symbols-"
SYMBOLS = ["<sep>", "foo", "\u2581\u2581", "\uff21"]
TEXTS = [
    "a <sep> b",
    "a<sep>b",
    " <sep> ",
    "<sep><sep> <sep>",
    "foo bar",
    "xfoo foox",
    "foo  foo",
    "  a   b  ",
    "\uff21 \uff22 \uff21b \uff22B",
    "a foo  <sep>",
    "Once <sep>upon a time",
    "\u2581\u2581a \u2581b",
    "tab\tline\n",
]
PARTS = [*SYMBOLS, "\uff22", " ", "  ", "a", "b", "the", "\u2581", "fo", "o", "<s", "\u00e9", "A"]


def make(kind, lines, rules):
    draw, model = random.Random(1), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=400,
        model_type=kind,
        user_defined_symbols=SYMBOLS,
        byte_fallback=True,
        normalization_rule_tsv=rules,
        minloglevel=2,
    )
    with open(f"{OUT}{kind}.model", "wb") as file:
        file.write(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    texts = TEXTS + ["".join(draw.choices(PARTS, k=draw.randint(1, 8))) for _ in range(87)]
    with open(f"{OUT}{kind}.jsonl", "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text, "ids": processor.encode(text)}) + "\n")


def main():
    with open("../shared/data/corpora/tinystories_sample_2MiB.txt", encoding="utf-8") as file:
        lines = file.read(200000).split("\n")
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("FF21\t41\nFF22\t42\n")
        rules.flush()
        for kind in "bpe", "unigram":
            make(kind, lines, rules.name)


main()
