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

# of deepseek-llm
CASED = (
    "[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-"
    "\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-"
    "\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15"
    "\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d"
    "\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d"
    "\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183"
    "\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b"
    "\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-"
    "\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb"
    "\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]"
)
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"


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
    "deepseek-llm": [
        split("[\r\n]"),
        split(r"\s?" + CASED + "+"),
        split(r"\s?[!-/:-~" + "\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"),
        split(r"\s+$"),
        split(CJK),
        split(r"\p{N}+"),
    ],
    "deepseek-coder": [
        split("[\r\n]"),
        split(r"\s?\p{L}+"),
        split(r"\s?\p{P}+"),
        split(CJK),
        Digits(individual_digits=True),
    ],
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
    "a'\u017fb it'\u017f 'S \u180e a\u180e\u0085b\u1680\u2028c\u001c \u001fd\u202f\u205f\u3000 e",
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
