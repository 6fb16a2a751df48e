#!/usr/bin/env python3
"""Writes tests/fixtures/tokenizers: small tokenizer.json files, and what Hugging Face's own
library (PyPI package tokenizers) makes of a list of texts with them.

    python3 tests/make_tokenizer_fixtures.py

Needs ../shared/data (TinyStories to train on, tok512.model for the SentencePiece one). Each
NAME.json has beside it NAME.jsonl, a line {"text": ..., "ids": [...]} per text, special tokens
parsed and added. Training unigram.json gives something else each time; all other files come out
the same.
"""

import json
import os

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers

DATA = "../shared/data/"
OUT = "tests/fixtures/tokenizers/"

TEXTS = [
    "",
    " ",
    "  ",
    "a",
    "Once upon a time, there was a little girl named Lily.",
    " leading",
    "trailing ",
    "two  spaces   three",
    "\ttab\n\nnewlines\r\n  indented\n",
    "It's I'LL we've DON'T they'd",
    "1 22 333 4444 55555 1,234.56",
    "e\u0301le\u0300ve \u00e9l\u00e8ve",
    "na\u00efve caf\u00e9 \u00bd \ufb01 \u2167",
    "\u4f60\u597d\uff0c\u4e16\u754c",
    "\u041f\u0440\u0438\u0432\u0435\u0442",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "x\u00a0y\u3000z",
    "!!! ??? ... --- ###",
    "CamelCase snake_case kebab-case",
    "<|end|>",
    "a<|end|>b",
    "a <|end|> b",
    "a  <|mask|>  b",
    "<s>one</s>two",
    "<|start|>system\nHi<|end|>\n",
    "<unk>",
    "<0x41>",
    "def f(x):\n    return x\n",
]


def lines():
    with open(DATA + "corpora/tinystories_sample_2MiB.txt", encoding="utf-8") as file:
        return file.read(400000).split("\n")


def save(name, tokenizer):
    tokenizer.save(OUT + name + ".json")
    with open(OUT + name + ".json", encoding="utf-8") as file:
        compact = json.load(file)
    with open(OUT + name + ".json", "w", encoding="utf-8") as file:
        json.dump(compact, file, ensure_ascii=False, separators=(",", ":"))
    with open(OUT + name + ".jsonl", "w", encoding="utf-8") as file:
        for text in TEXTS:
            file.write(json.dumps({"text": text, "ids": tokenizer.encode(text).ids}) + "\n")


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = [
    AddedToken("<|start|>", special=True),
    AddedToken("<|end|>", special=True),
    AddedToken("<|mask|>", special=True, lstrip=True, rstrip=True),
]


def byte_level(name, splits, normalizer=None, use_regex=False, bos=False, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits + [level]) if splits else level
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        lines(), trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_tokens([AddedToken("snake_case", normalized=False)])
    tokenizer.add_special_tokens(SPECIAL)
    if bos:
        start = tokenizer.token_to_id("<|start|>")
        tokenizer.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=False),
                processors.TemplateProcessing(
                    single="<|start|> $A", special_tokens=[("<|start|>", start)]
                ),
            ]
        )
    save(name, tokenizer)


def pieces_of(path):
    """Pieces of a SentencePiece model: (text, score, type), by reading the protobuf."""
    data = open(path, "rb").read()

    def varint(at):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                return value, at

    import struct

    pieces, at = [], 0
    while at < len(data):
        key, at = varint(at)
        size, at = varint(at)
        end, text, score, kind = at + size, "", 0.0, 1
        while key == 0x0A and at < end:
            inner, at = varint(at)
            if inner == 0x0A:
                n, at = varint(at)
                text, at = data[at : at + n].decode(), at + n
            elif inner == 0x15:
                score, at = struct.unpack_from("<f", data, at)[0], at + 4
            else:
                kind, at = varint(at)
        if key == 0x0A:
            pieces.append((text, score, kind))
        at = end
    return pieces


def llama2(name, metaspace):
    """tok512.model as transformers converts such a model: every cut of a piece is a merge."""
    pieces = pieces_of(DATA + "models/stories260K/tok512.model")
    vocab = {text: i for i, (text, _, _) in enumerate(pieces)}
    merges = []
    for text, score, kind in pieces:
        if kind != 1:
            continue
        cuts = [(text[:i], text[i:]) for i in range(1, len(text))]
        cuts = [c for c in cuts if c[0] in vocab and c[1] in vocab]
        merges += [(score, vocab[a], vocab[b], a, b) for a, b in cuts]
    merges.sort(key=lambda m: (-m[0], m[1], m[2]))
    tokenizer = Tokenizer(
        models.BPE(
            vocab,
            [(m[3], m[4]) for m in merges],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    if metaspace:  # transformers' legacy=False
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        )
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    save(name, tokenizer)


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        lines()[:1500],
        trainers.UnigramTrainer(
            vocab_size=500, unk_token="<unk>", special_tokens=["<unk>", "</s>"], show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    save("unigram", tokenizer)


# For tokens that are normalised: inside words, beside spaces, and as the normaliser writes them.
ADDED_TEXTS = [
    "a foo b",
    "foo bar",
    "xfoo foox",
    "a <sep> b<sep>c",
    "foo<|end|>foo</s>foo",
    " Foo FOO",
    "caf\u00e9 cafe\u0301",
    "\u2581foo\u2581a",
    "foofoo  foo",
    "a\u00a0<strip>\u2003b\u3000",
]


def added(name, base, tokens):
    """The tokenizer of a fixture, with more tokens."""
    tokenizer = Tokenizer.from_file(OUT + base + ".json")
    tokenizer.add_tokens(tokens)
    TEXTS.extend(ADDED_TEXTS)
    save(name, tokenizer)
    del TEXTS[-len(ADDED_TEXTS) :]


NORMALIZED = [
    AddedToken("foo", normalized=True),
    AddedToken("<sep>", normalized=True),
    AddedToken("Caf\u00e9", normalized=True),
    AddedToken("<strip>", normalized=False, lstrip=True, rstrip=True),
]

os.makedirs(OUT, exist_ok=True)
isolated = lambda regex: pre_tokenizers.Split(Regex(regex), behavior="isolated")
byte_level("gpt2", [], use_regex=True)
byte_level("llama3", [isolated(LLAMA3)], bos=True, ignore_merges=True)
byte_level("qwen2", [isolated(LLAMA3.replace("{1,3}", ""))], normalizer=normalizers.NFC())
byte_level("smollm", [pre_tokenizers.Digits(individual_digits=True)], use_regex=True)
byte_level(
    "custom",
    [
        pre_tokenizers.Split("_", behavior="isolated"),
        isolated(r"\p{Lu}?\p{Ll}+|\d"),
        pre_tokenizers.Digits(individual_digits=False),
    ],
    normalizer=normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace("x", "yy"), normalizers.Lowercase()]
    ),
)
llama2("llama2", False)
llama2("llama2-new", True)
unigram()
added("llama2-added", "llama2", NORMALIZED)
added("llama2-new-added", "llama2-new", NORMALIZED)
added("custom-added", "custom", NORMALIZED)
added("unigram-added", "unigram", NORMALIZED)
