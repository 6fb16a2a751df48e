#!/usr/bin/env python3
"""Writes a model that copies and can do nothing else, and a text for it.

    python3 tests/make_copier.py OUT.gguf OUT.ids

Weights by hand: an induction circuit, the simplest way a transformer recalls (Elhage et al. 2021,
"A mathematical framework for transformer circuits"). The residual stream is three parts of 32, each
a code of a token. The head of layer 0 attends to the token before and writes its code into part 2.
The head of layer 1 looks for the token whose part 2 is the current token, and writes that token's
code into part 3, which the logits read. The ids are 511 different ones, so nothing is ambiguous.
"""

import math
import random
import struct
import sys

V, CODE, D, F = 512, 32, 64, 32
C = 3 * CODE
PAIRS, BASE = CODE // 2, 100.0
rng = random.Random(1)


def matrix(rows, cols, entries=()):
    m = [[0.0] * cols for _ in range(rows)]
    for row, col, value in entries:
        m[row][col] = value
    return m


def part(row, col, scale):
    """The entries of scale * identity between two parts of CODE dimensions."""
    return [(row + i, col + i, scale) for i in range(CODE)]


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def key_value(name, value):
    if isinstance(value, str):
        return text(name) + struct.pack("<I", 8) + text(value)
    kind, how = (4, "<I") if isinstance(value, int) else (6, "<f")
    return text(name) + struct.pack("<I", kind) + struct.pack(how, value)


def write(path, keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(key_value(*pair) for pair in keys.items())
    body = b""
    for name, m in tensors.items():
        shape = [len(m)] if isinstance(m[0], float) else [len(m[0]), len(m)]
        numbers = m if len(shape) == 1 else [x for row in m for x in row]
        head += text(name) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", 0, len(body))
        body += struct.pack(f"<{len(numbers)}f", *numbers)
        body += b"\0" * (-len(body) % 32)
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32) + body)


def layer(tensors, number, q, k, q_bias, k_bias, to):
    """v reads the token's code, the output writes it to part `to`."""
    name = f"blk.{number}."
    tensors[name + "attn_norm.weight"] = tensors[name + "ffn_norm.weight"] = [1.0] * C
    tensors[name + "attn_q.weight"], tensors[name + "attn_q.bias"] = matrix(D, C, q), q_bias
    tensors[name + "attn_k.weight"], tensors[name + "attn_k.bias"] = matrix(D, C, k), k_bias
    tensors[name + "attn_v.weight"] = matrix(D, C, part(0, 0, 1.0))
    tensors[name + "attn_v.bias"] = [0.0] * D
    size = math.sqrt((number + 1) / 3)  # undoes the norm, so that codes are of the same size
    tensors[name + "attn_output.weight"] = matrix(C, D, part(CODE * to, 0, size))
    for mlp, shape in ("gate", (F, C)), ("up", (F, C)), ("down", (C, F)):
        tensors[f"{name}ffn_{mlp}.weight"] = matrix(*shape)


def main():
    model, ids = sys.argv[1:]
    codes = [[rng.choice((-1.0, 1.0)) for _ in range(CODE)] for _ in range(V)]
    nothing = [0.0] * D
    # q turned back by one position: the score is the sum of cos((t - s - 1) theta)
    angles = [BASE ** (-p / PAIRS) for p in range(PAIRS)]
    q_bias = [150 * math.cos(a) for a in angles] + [-150 * math.sin(a) for a in angles]
    k_bias = [1.0] * PAIRS
    tensors = {"token_embd.weight": [code + [0.0] * (2 * CODE) for code in codes]}
    layer(tensors, 0, (), (), q_bias + [0.0] * (D - CODE), k_bias + [0.0] * (D - PAIRS), 1)
    layer(tensors, 1, part(CODE, 0, 10.0), part(CODE, CODE, 1.0), nothing, nothing, 2)
    tensors["output_norm.weight"] = [1.0] * C
    tensors["output.weight"] = [[0.0] * (2 * CODE) + code for code in codes]
    write(
        model,
        {
            "general.architecture": "qwen2",
            "qwen2.context_length": 512,
            "qwen2.embedding_length": C,
            "qwen2.block_count": 2,
            "qwen2.feed_forward_length": F,
            "qwen2.attention.head_count": 1,
            "qwen2.attention.head_count_kv": 1,
            "qwen2.attention.key_length": D,
            "qwen2.attention.value_length": D,
            "qwen2.rope.dimension_count": CODE,
            "qwen2.rope.freq_base": BASE,
            "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
        },
        tensors,
    )
    order = list(range(1, V))
    rng.shuffle(order)
    with open(ids, "w", encoding="ascii") as file:
        file.write("\n".join(map(str, order)) + "\n")


if __name__ == "__main__":
    main()
