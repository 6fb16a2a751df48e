#!/usr/bin/env python3
"""Makes tests/fixtures/pretokenizers.json: words that Hugging Face's tokenizers cut texts into.

    pip install tokenizers
    python3 tests/make_pretokenizer_fixture.py

The patterns are those of the models' own tokenizer.json files, which differ in writing from ours.
"""

import json
import random

from tokenizers import Regex
from tokenizers.pre_tokenizers import Digits, Sequence, Split

SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
BREAKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def split(pattern):
    return Split(Regex(pattern), "isolated")


def cl100k(digits):
    return split(
        SUFFIX + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" + BREAKS
    )


def o200k(suffix, digits):
    return split(
        r"[^\r\n\p{L}\p{N}]?"
        + UPPER
        + "*"
        + LOWER
        + "+"
        + suffix
        + r"|[^\r\n\p{L}\p{N}]?"
        + UPPER
        + "+"
        + LOWER
        + "*"
        + suffix
        + "|"
        + digits
        + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|"
        + BREAKS
    )


PRETOKENIZERS = {
    "gpt-2": [split(GPT2)],
    "llama-bpe": [cl100k(r"\p{N}{1,3}")],
    "qwen2": [cl100k(r"\p{N}")],
    "smollm": [Digits(individual_digits=True), split(GPT2)],
    "gpt-4o": [o200k(SUFFIX + "?", r"\p{N}{1,3}")],
    "tekken": [o200k("", r"\p{N}")],
    "deepseek-v3": [
        split(r"\p{N}{1,3}"),
        split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
        split(
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
            r"""|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|""" + BREAKS
        ),
    ],
}

TEXTS = [
    "We'LL see: I'd pay $12345.67 (caf\u00e9) for CamelCaseHTML's"
    "  2\u00bd pizzas!!\r\n\n  \t\u043d\u0435\u0442 ",
    "\u65e5\u672c\u8a9e\u30ab\u30ca x\u00a0 y\u2003z e\u0301 \u0661\u0662\u0663"
    " \U0001f642\U0001f642/usr/bin\n",
    "   \n \n\n  x",
    "def f(x):\n\treturn x**2  # 100%\n",
    "a|b||c 'tis 'TWAS don't DON'T",
    "\u01c5abc \u01c5 \u02b0x \u0e01\u0e33 \ud55c\uad6d\uc5b4 \u0939\u093f\u0928\u094d\u0926\u0940",
    "",
    " ",
    "\n",
    "'",
    "1",
    "12345678901",
    "!?...",
    "\u00b2\u2162\u3007",
]


def main():
    chance = random.Random(3)
    parts = list("ab'sdmlLT 1 2\n\r\t.,!/<_") + [
        "\u00e9",
        "\u4e2d",
        "\u0301",
        "\u00a0",
        "'ll",
        "  ",
    ]
    texts = TEXTS + ["".join(chance.choice(parts) for _ in range(50)) for _ in range(20)]
    result = {}
    for name, steps in PRETOKENIZERS.items():
        cut = Sequence(steps)
        result[name] = [[word for word, _ in cut.pre_tokenize_str(text)] for text in texts]
    with open("tests/fixtures/pretokenizers.json", "w", encoding="ascii") as file:
        file.write(
            "{"
            + ",\n".join(
                json.dumps(name) + ": [\n" + ",\n".join(map(json.dumps, cuts)) + "]"
                for name, cuts in result.items()
            )
            + "}\n"
        )


main()
