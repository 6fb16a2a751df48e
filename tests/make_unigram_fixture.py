#!/usr/bin/env python3
"""Makes tests/fixtures/unigram.json: small Unigram vocabularies and what SentencePiece does with
them.

    pip install sentencepiece
    python3 tests/make_unigram_fixture.py ../shared/data/corpora/grimms_fairy_tales.txt

The vocabularies are trained on a text in the public domain: one with pieces for bytes, one
without, and one with normalisation rules of its own.
"""

import json
import os
import random
import sys
import tempfile

import sentencepiece

TEXTS = [
    "",
    " ",
    "   ",
    "Once upon a time there was a king",
    " leading",
    "trailing ",
    "two  spaces",
    "The wolf and the seven little kids",
    "123 4567",
    "x\ny\tz",
    "caf\u00e9 d\u00e9j\u00e0 vu",
    "\u4f60\u597d\uff0c\u4e16\u754c",
    "\U0001f600\U0001f600 grin",
    "<s>not special</s>",
    "<0x41>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "!?!?--..",
    "e\u0301",
    "qqzzxxjj",
    "THE Thin \ufb01sh\u00b2 e\u0301\u200d T\u200dH",
    "\u200d",
    " \u200d ",
]


def texts(corpus):
    chance = random.Random(1)
    lines = [line for line in corpus.split("\n") if len(line) > 20]
    letters = "etaoin shrdlu" + "\u00e9\u4f60"
    return (
        TEXTS
        + [chance.choice(lines)[:120] for _ in range(15)]
        + ["".join(chance.choice(letters) for _ in range(60)) for _ in range(6)]
    )


# Code points that become others: ligatures, some capitals, a digit; one deleted, two merged.
RULES = """FB01\t66 69
54\t74
54 48\t2603 74 68
B2\t32
200D\t
65 301\te9
"""


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """The length-delimited fields of a protobuf message; others are skipped."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            _, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size
        else:
            at += 8 if key & 7 == 1 else 4


def charsmap(model):
    """ModelProto.normalizer_spec.precompiled_charsmap"""
    for number, spec in fields(model):
        if number == 3:
            for inner, value in fields(spec):
                if inner == 2:
                    return value
    return b""


def train(path, folder, name, size, byte_fallback, rules):
    tsv = os.path.join(folder, "rules.tsv")
    with open(tsv, "w", encoding="ascii") as file:
        file.write(RULES)
    extra = {"normalization_rule_tsv": tsv} if rules else {"normalization_rule_name": "identity"}
    sentencepiece.SentencePieceTrainer.train(
        input=path,
        model_prefix=os.path.join(folder, name),
        model_type="unigram",
        vocab_size=size,
        byte_fallback=byte_fallback,
        minloglevel=2,
        **extra,
        remove_extra_whitespaces=not byte_fallback,
        character_coverage=0.999,
        num_threads=1,
        input_sentence_size=3000,
        max_sentence_length=20000
    )
    return sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, name + ".model"))


def piece(model, i):
    kind = (
        2
        if model.is_unknown(i)
        else 3 if model.is_control(i) else 5 if model.is_unused(i) else 6 if model.is_byte(i) else 1
    )
    return [model.id_to_piece(i), model.get_score(i), kind]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        corpus = file.read()
    result = []
    with tempfile.TemporaryDirectory() as folder:
        for byte_fallback, size, rules in (
            (True, 600, False),
            (False, 300, False),
            (False, 150, True),
        ):
            model = train(sys.argv[1], folder, "m", size, byte_fallback, rules)
            with open(os.path.join(folder, "m.model"), "rb") as file:
                table = charsmap(file.read())
            result.append(
                {
                    "byte_fallback": byte_fallback,
                    "remove_extra_whitespaces": not byte_fallback,
                    "charsmap": table.hex(),
                    "pieces": [piece(model, i) for i in range(model.get_piece_size())],
                    "texts": [[text, model.encode(text)] for text in texts(corpus)],
                }
            )
    with open("tests/fixtures/unigram.json", "w", encoding="ascii") as file:
        file.write(
            "["
            + ",\n".join(
                "{"
                + ",\n ".join(
                    json.dumps(key)
                    + ": "
                    + (
                        json.dumps(value)
                        if not isinstance(value, list)
                        else "[\n" + ",\n".join(json.dumps(x) for x in value) + "]"
                    )
                    for key, value in one.items()
                )
                + "}"
                for one in result
            )
            + "]\n"
        )


main()
