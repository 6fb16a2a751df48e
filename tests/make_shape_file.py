#!/usr/bin/env python3
"""Writes a random checkpoint of a shape that `performer bench --shape` knows, to measure loading
with.

    python3 tests/make_shape_file.py 15M|110M OUT.gguf

F32, with a vocabulary of 32,000 SentencePiece-like pieces. What such a file says is noise; how
long it takes to open and to say the first token is not. Needs numpy.
"""

import random
import sys

import numpy as np

from make_tiny_families import F32, write_gguf

SHAPES = {"15M": (288, 6, 6, 768, 32000), "110M": (768, 12, 12, 2048, 32000)}


def vocabulary(V):
    """Control pieces, the 256 bytes, then made-up words, most with a space (U+2581) in front."""
    rng = random.Random(1)
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    seen = set(pieces)
    while len(pieces) < V:
        word = "".join(rng.choice("etaoinshrdlucmfwypvbgk") for _ in range(rng.randint(1, 11)))
        word = word if rng.random() < 0.4 else "\u2581" + word
        if word not in seen:
            seen.add(word)
            pieces.append(word)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": [0.0] * 259 + [-float(i) for i in range(V - 259)],
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * (V - 259),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def main():
    shape, path = sys.argv[1:]
    C, L, H, F, V = SHAPES[shape]
    keys = {
        "general.architecture": "llama",
        "llama.context_length": 1024,
        "llama.embedding_length": C,
        "llama.block_count": L,
        "llama.feed_forward_length": F,
        "llama.attention.head_count": H,
        "llama.attention.head_count_kv": H,
        "llama.rope.dimension_count": C // H,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        **vocabulary(V),
    }
    rng, tensors = np.random.default_rng(1), {}

    def matrix(name, rows, cols):
        data = (rng.standard_normal((rows, cols), np.float32) / cols**0.5).tobytes()
        tensors[f"{name}.weight"] = ((rows, cols), F32, data)

    def norm(name):
        tensors[f"{name}.weight"] = ((C,), F32, np.ones(C, np.float32).tobytes())

    matrix("token_embd", V, C)
    for i in range(L):
        norm(f"blk.{i}.attn_norm")
        for name in "attn_q", "attn_k", "attn_v", "attn_output":
            matrix(f"blk.{i}.{name}", C, C)
        norm(f"blk.{i}.ffn_norm")
        matrix(f"blk.{i}.ffn_gate", F, C)
        matrix(f"blk.{i}.ffn_up", F, C)
        matrix(f"blk.{i}.ffn_down", C, F)
    norm("output_norm")
    write_gguf(path, keys, tensors)


if __name__ == "__main__":
    main()
