#!/usr/bin/env python3
"""Writes tests/fixtures/bpe: merges that Hugging Face's trainer (PyPI package tokenizers) learns.

    pip install tokenizers
    python3 tests/make_bpe_fixtures.py

A run writes the same files. TEXT.N.merges are the merges of a byte-level vocabulary of N pieces,
<|endoftext|> included, learned from TEXT: ties.txt, which is written here, the shipped sample, and
texts of ../shared/data/corpora.
"""
import json
import os
import random

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

OUT = "tests/fixtures/bpe/"
END = "<|endoftext|>"
CORPORA = "../shared/data/corpora/"


def ties():
    """Words of few letters and odd characters: many pairs are equally frequent or overlap."""
    random.seed(7)
    letters = ["a", "b", "c", "aa", "aba", "é", "ł", "日本", "🙂", "\u00ad", "7", "42", "'s", "--"]
    words = ["".join(random.choices(letters, k=random.randint(1, 9))) for _ in range(1500)]
    blanks = [" ", " ", " ", "  ", "\n", "\t", "\u00a0", " " + END, END + "\n"]
    return "".join(word + random.choice(blanks) for word in words)


def learn(text, pieces):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=pieces, min_frequency=2, special_tokens=[END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(text.split(END), trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]


def write(path, pieces):
    with open(path, encoding="utf-8", newline="") as file:
        merges = learn(file.read(), pieces)
    name = os.path.splitext(os.path.basename(path))[0]
    with open(f"{OUT}{name}.{pieces}.merges", "w", encoding="utf-8") as file:
        file.writelines(merge + "\n" for merge in merges)


os.makedirs(OUT, exist_ok=True)
with open(OUT + "ties.txt", "w", encoding="utf-8", newline="") as file:
    file.write(ties())
write(OUT + "ties.txt", 100000)  # all there are
write("models/weights/sample.txt", 700)
write(CORPORA + "tinystories_sample_2MiB.txt", 1024)
write(CORPORA + "tinyshakespeare.txt", 2048)
