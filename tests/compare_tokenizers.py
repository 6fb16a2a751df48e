#!/usr/bin/env python3
"""Compares our tokenizer with Hugging Face's (PyPI package tokenizers), and prints TAP.

    python3 tests/compare_tokenizers.py [TOKENIZER.json ...]

For each tokenizer.json (by default those of tests/fixtures/tokenizers): every character of Unicode
between letters, spaces and special tokens, then 10,000 random strings. Without the package the
cases are skipped. Characters that are younger than Python's tables are left out, and those that
tokenizers normalises by older tables.
"""

import glob
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

PERFORMER = os.environ.get("PERFORMER", "./performer")
MODEL = "tests/fixtures/hf/qwen2"  # its embedding has rows enough for all fixtures
FIXTURES = sorted(sys.argv[1:] or glob.glob("tests/fixtures/tokenizers/*.json"))
STRINGS = 10000

try:
    from tokenizers import Tokenizer
    from tokenizers.normalizers import NFKC, NFKD
except ImportError:
    Tokenizer = None


def characters():
    """Every character of Unicode but surrogates, private ones and those of other versions."""
    forms = {"NFKC": NFKC(), "NFKD": NFKD()}
    known = lambda c: all(
        form.normalize_str(c) == unicodedata.normalize(name, c) for name, form in forms.items()
    )
    codes = map(chr, range(1, 0x110000))
    return [c for c in codes if unicodedata.category(c) not in ("Cn", "Cs", "Co") and known(c)]


def added_of(tokenizer):
    return [t.content for t in tokenizer.get_added_tokens_decoder().values()]


def sweep(everything, added):
    """Lines that have every character in several neighbourhoods, and all that may be white space
    or invisible beside every added token."""
    lines = []
    for i in range(0, len(everything), 32):
        lines.append("".join(f"a{c}b {c} 1{c}{c}." for c in everything[i : i + 32]))
    for c in everything:
        if unicodedata.category(c)[0] in "ZC":
            lines.append("".join(f"{token}{c}{token} {c}" for token in added))
    return lines


def random_strings(everything, added):
    draw = random.Random(1)
    common = list("etaoinshrdlu ETAOIN  1234'.,!?-_/\n\r\t") + ["'s", "'LL", "\u2581", "\u017f"]
    spaces = [c for c in everything if c.isspace()]
    for _ in range(STRINGS):
        pool = draw.choice([common, common + spaces, common + added, everything])
        yield "".join(
            draw.choice(pool if draw.random() < 0.8 else common)
            for _ in range(draw.randint(1, 30))
        )


def ours(path, lines):
    with tempfile.TemporaryDirectory() as folder:
        gguf, texts = os.path.join(folder, "m.gguf"), os.path.join(folder, "texts")
        run = lambda *words: subprocess.run(
            [PERFORMER, *words], check=True, stdout=subprocess.PIPE
        ).stdout.decode()
        run("convert", MODEL, "--tokenizer", path, "-o", gguf, "-q")
        with open(texts, "w", encoding="utf-8", newline="") as file:
            for line in lines:
                file.write(line.replace("\\", "\\\\").replace("\n", "\\n") + "\n")
        out = run("tokenize", gguf, "--ids", "--escape", "--file", texts)
    ids = [[int(i) for i in line.split()] for line in out.split("\n")[:-1]]
    assert len(ids) == len(lines), f"{len(ids)} lines of ids for {len(lines)} texts"
    return ids


def compare(path):
    """Texts that differ, as details for TAP."""
    tokenizer = Tokenizer.from_file(path)
    added, everything = added_of(tokenizer), characters()
    lines = sweep(everything, added) + list(random_strings(everything, added))
    # a carriage return at the end of a line would be taken off
    lines = [line + "." if line.endswith("\r") else line for line in lines]
    theirs = [e.ids for e in tokenizer.encode_batch(lines, add_special_tokens=False)]
    # Two cuts of the same pieces tie, but for rounding: in float with us and in SentencePiece, in
    # double there.
    unigram = json.loads(tokenizer.to_str())["model"]["type"] == "Unigram"
    same = lambda a, b: a == b or (unigram and sorted(a) == sorted(b))
    return len(lines), [
        f"{line!r}: {have}, but tokenizers gives {want}"
        for line, have, want in zip(lines, ours(path, lines), theirs)
        if not same(have, want)
    ]


for number, path in enumerate(FIXTURES, 1):
    name = f"{os.path.basename(path)}: all of Unicode and {STRINGS} random strings"
    if not Tokenizer:
        print(f"ok {number} - {name} # SKIP the Python package tokenizers is not installed")
        continue
    count, different = compare(path)
    print(f"{'not ok' if different else 'ok'} {number} - {name}")
    if different:
        print(f"# {len(different)} of {count} texts differ")
    for detail in different[:5]:
        print("#", detail[:400])
print(f"1..{len(FIXTURES)}")
