#!/usr/bin/env python3
"""Writes one tiny random checkpoint per model family, and the logits it must give.

    python3 tests/make_tiny_families.py [tests/fixtures/families]

For each: NAME.gguf, NAME.tokens.txt (ids, one a line) and NAME.logits.f32 (little-endian,
[tokens][vocab]). The logits come from the forward pass below: numpy in float64, written from the
papers and as plain as possible, and sharing nothing with the C code. Seeds are fixed, so the same
files come out every time. Needs numpy.
"""

import math
import os
import struct
import sys

import numpy as np

from tiny_family_models import MODELS

F32, F16, Q8_0, BF16 = 0, 1, 8, 30  # ggml's numbers
U32, I32, FLOAT, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # GGUF's

# ---- tensors as files store them ---------------------------------------------------------------


def encode(values, kind):
    """float64 values -> (bytes in the file, the float64 values that these bytes stand for)."""
    x = np.ascontiguousarray(values, np.float32)
    if kind == F32:
        return x.tobytes(), x.astype(np.float64)
    if kind == F16:
        half = x.astype(np.float16)
        return half.tobytes(), half.astype(np.float64)
    if kind == BF16:
        bits = x.view(np.uint32)
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16  # to nearest, ties to even
        return bits.astype(np.uint16).tobytes(), (bits.astype(np.uint32) << 16).view(
            np.float32
        ).astype(np.float64)
    assert kind == Q8_0 and x.shape[-1] % 32 == 0
    blocks = x.reshape(-1, 32)
    scale = (np.abs(blocks).max(axis=1) / 127).astype(np.float16)
    q = np.clip(np.rint(blocks / scale[:, None].astype(np.float32)), -127, 127).astype(np.int8)
    data = b"".join(scale[i].tobytes() + q[i].tobytes() for i in range(len(q)))
    return data, (scale[:, None].astype(np.float64) * q).reshape(x.shape)


def gguf_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(value):
    """(type, bytes): bool, int (u32), float (f32), str, or a list of str, int (i32) or float."""
    if isinstance(value, bool):
        return BOOL, struct.pack("<B", value)
    if isinstance(value, int):
        return U32, struct.pack("<I", value)
    if isinstance(value, float):
        return FLOAT, struct.pack("<f", value)
    if isinstance(value, str):
        return STRING, gguf_string(value)
    kind, each = {
        str: (STRING, gguf_string),
        int: (I32, lambda i: struct.pack("<i", i)),
        float: (FLOAT, lambda f: struct.pack("<f", f)),
    }[type(value[0])]
    return ARRAY, struct.pack("<IQ", kind, len(value)) + b"".join(map(each, value))


def write_gguf(path, keys, tensors):
    """tensors: name -> (numpy shape, type, bytes)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, value in keys.items():
        kind, data = gguf_value(value)
        head += gguf_string(key) + struct.pack("<I", kind) + data
    body = b""
    for name, (shape, kind, data) in tensors.items():
        head += gguf_string(name) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", n) for n in reversed(shape))  # the contiguous axis first
        head += struct.pack("<IQ", kind, len(body))
        body += data + b"\0" * (-len(data) % 32)
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32) + body)


# ---- the forward pass --------------------------------------------------------------------------


def norm(x, weight, bias, eps, kind):
    if kind == "layer":
        x = x - x.mean(axis=-1, keepdims=True)
    y = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight
    return y if bias is None else y + bias


def rotate(x, position, pairs, base, factors):
    """One head x [D] at a position. pairs: list of (i, j), pair p of n turning by base^(-p / n)."""
    y = x.copy()
    for p, (i, j) in enumerate(pairs):
        angle = position * base ** (-p / len(pairs)) / factors[p]
        y[i] = x[i] * np.cos(angle) - x[j] * np.sin(angle)
        y[j] = x[i] * np.sin(angle) + x[j] * np.cos(angle)
    return y


def rope_pairs(kind, n):
    return [(2 * p, 2 * p + 1) if kind == "adjacent" else (p, p + n // 2) for p in range(n // 2)]


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def cap(x, limit):
    return x if limit is None else limit * np.tanh(x / limit)


def attention(m, w, layer, x):
    """x [T, C] -> [T, C]; every query head by itself, every token by itself."""
    heads, kv_heads, D, T = m["heads"], m["kv_heads"], m["D"], len(x)

    def project(name):
        y = x @ w[f"{layer}.{name}.weight"].T + w.get(f"{layer}.{name}.bias", 0)
        return y.reshape(T, -1, D)

    if m.get("fused_qkv"):
        qkv = project("attn_qkv")
        q, k, v = qkv[:, :heads], qkv[:, heads : heads + kv_heads], qkv[:, heads + kv_heads :]
    else:
        q, k, v = project("attn_q"), project("attn_k"), project("attn_v")
    if m.get("qk_norm") == "whole":
        whole = lambda y, name: norm(
            y.reshape(T, -1), w[f"{layer}.{name}.weight"], None, m["eps"], "rms"
        ).reshape(y.shape)
        q, k = whole(q, "attn_q_norm"), whole(k, "attn_k_norm")
    elif m.get("qk_norm"):
        q = norm(q, w[f"{layer}.attn_q_norm.weight"], None, m["eps"], "rms")
        k = norm(k, w[f"{layer}.attn_k_norm.weight"], None, m["eps"], "rms")
    index = int(layer.split(".")[1])
    sliding = "sliding_window" in m and not (
        "pattern" in m and index % m["pattern"] == m["pattern"] - 1
    )
    unrotated = m.get("unrotated_fourths") and index % 4 == 3
    if m["rope"] != "none" and not unrotated:
        pairs = rope_pairs(m["rope"], m.get("rope_dim", D))
        factors = w.get("rope_freqs.weight", np.ones(len(pairs))) * m.get("rope_factor", 1.0)
        base = m["rope_base"]
        if sliding and "sliding_rope_base" in m:
            base, factors = m["sliding_rope_base"], np.ones(len(pairs))
        turn = lambda y: np.array(
            [[rotate(head, t, pairs, base, factors) for head in y[t]] for t in range(T)]
        )
        q, k = turn(q), turn(k)
    out = np.zeros((T, heads, D))
    for t in range(T):
        first = max(0, t + 1 - m["sliding_window"]) if sliding else 0
        for h in range(heads):
            g = h // (heads // kv_heads)
            scores = k[first : t + 1, g] @ q[t, h] * m.get("attention_scale", 1 / np.sqrt(D))
            out[t, h] = softmax(cap(scores, m.get("attention_cap"))) @ v[first : t + 1, g]
    return out.reshape(T, -1) @ w[f"{layer}.attn_output.weight"].T + w.get(
        f"{layer}.attn_output.bias", 0
    )


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def silu(x):
    return x / (1 + np.exp(-x))


def mlp(m, w, layer, x):
    up = x @ w[f"{layer}.ffn_up.weight"].T + w.get(f"{layer}.ffn_up.bias", 0)
    if m["mlp"] == "gelu":
        hidden = gelu_tanh(up)
    elif m["mlp"] == "gelu_erf":
        hidden = 0.5 * up * (1 + np.vectorize(math.erf)(up / np.sqrt(2)))
    else:
        act = {"swiglu": silu, "geglu": gelu_tanh}[m["mlp"]]
        if m.get("fused_gate"):
            gate, up = up[:, : m["F"]], up[:, m["F"] :]
        else:
            gate = x @ w[f"{layer}.ffn_gate.weight"].T
        hidden = act(gate) * up
    return hidden @ w[f"{layer}.ffn_down.weight"].T + w.get(f"{layer}.ffn_down.bias", 0)


def forward(m, w, ids):
    x = w["token_embd.weight"][ids]
    if m.get("scaled_embedding"):
        x = x * np.sqrt(m["C"])
    x = x * m.get("embedding_scale", 1)
    if "position_embd.weight" in w:
        x = x + w["position_embd.weight"][: len(ids)]
    normed = lambda x, name: norm(
        x, w[f"{name}.weight"], w.get(f"{name}.bias"), m["eps"], m["norm"]
    )
    for i in range(m["L"]):
        layer = f"blk.{i}"
        post = lambda y, name: normed(y, f"{layer}.{name}") if m.get("post_norms") else y
        add, before = m.get("residual_scale", 1), x
        pre = lambda x, name: normed(x, f"{layer}.{name}") if m.get("pre_norms", True) else x
        y = attention(m, w, layer, pre(x, "attn_norm"))
        x = x + add * post(y, "post_attention_norm")
        mlp_norm = "attn_norm" if m.get("no_ffn_norm") else "ffn_norm"
        y = mlp(m, w, layer, pre(before if m.get("parallel") else x, mlp_norm))
        x = x + add * post(y, "post_ffw_norm")
    logits = normed(x, "output_norm") @ w.get("output.weight", w["token_embd.weight"]).T
    logits = (logits + w.get("output.bias", 0)) / m.get("logit_scale", 1)
    return cap(logits, m.get("logit_cap"))


# ---- the checkpoints ---------------------------------------------------------------------------

CONTEXT, TOKENS = 64, 24


def make_weights(m):
    """name -> float64 values. Matrices keep the scale of what flows; norms differ from 1."""
    rng = np.random.RandomState(m["seed"])
    C, D, F, q, kv = m["C"], m["D"], m["F"], m["heads"] * m["D"], m["kv_heads"] * m["D"]
    w = {}

    def matrix(name, rows, cols, bias=False, gain=1.5):
        w[f"{name}.weight"] = gain * rng.standard_normal((rows, cols)) / np.sqrt(cols)
        if bias:
            w[f"{name}.bias"] = 0.3 * rng.standard_normal(rows)

    def vector(name, n):
        w[f"{name}.weight"] = 1 + 0.2 * rng.standard_normal(n)
        if m.get("biases") and "q_norm" not in name and "k_norm" not in name:
            w[f"{name}.bias"] = 0.2 * rng.standard_normal(n)

    biases, qkv_bias = m.get("biases", False) is True, m.get("qkv_bias", False)
    matrix("token_embd", m["V"], C, gain=np.sqrt(C) * (0.3 if m.get("scaled_embedding") else 0.8))
    if m["rope"] == "none":
        matrix("position_embd", CONTEXT, C, gain=0.5 * np.sqrt(C))
    if m.get("rope_freqs"):
        w["rope_freqs.weight"] = np.array([1.0, 1.0, 2.5, 8.0])
    for i in range(m["L"]):
        layer = f"blk.{i}"
        pre_norms = m.get("pre_norms", True)
        if pre_norms:
            vector(f"{layer}.attn_norm", C)
        if m.get("fused_qkv"):
            matrix(f"{layer}.attn_qkv", q + 2 * kv, C, qkv_bias)
        else:
            for name, rows in ("attn_q", q), ("attn_k", kv), ("attn_v", kv):
                matrix(f"{layer}.{name}", rows, C, qkv_bias)
        if m.get("qk_norm"):
            whole = m["qk_norm"] == "whole"
            vector(f"{layer}.attn_q_norm", q if whole else D)
            vector(f"{layer}.attn_k_norm", kv if whole else D)
        matrix(f"{layer}.attn_output", C, q, biases)
        if pre_norms and not m.get("no_ffn_norm"):
            vector(f"{layer}.ffn_norm", C)
        if m.get("fused_gate"):
            matrix(f"{layer}.ffn_up", 2 * F, C, biases)
        else:
            if "gelu" not in m["mlp"]:
                matrix(f"{layer}.ffn_gate", F, C)
            matrix(f"{layer}.ffn_up", F, C, biases)
        matrix(f"{layer}.ffn_down", C, F, biases)
        if m.get("post_norms"):
            vector(f"{layer}.post_attention_norm", C)
            vector(f"{layer}.post_ffw_norm", C)
    vector("output_norm", C)
    if m.get("untied"):
        matrix("output", m["V"], C, m.get("output_bias", False))
    return w


def spm_vocabulary(V):
    """SentencePiece BPE without byte fallback: control tokens, space, letters, pairs of letters."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + list(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ.,!?'\"-\n"
    )
    pairs = ["th", "he", "in", "er", "an", "\u2581t", "\u2581a", "the", "\u2581the"]
    pieces = ["<unk>", "<s>", "</s>"] + pairs + ["\u2581"] + letters
    pieces += [f"<unused{i}>" for i in range(V - len(pieces))]
    types = [2, 3, 3] + [5 if p.startswith("<unused") else 1 for p in pieces[3:]]
    scores = [0.0] * 3 + [-float(i) for i in range(len(pieces) - 3)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


def bpe_vocabulary(V):
    """Byte-level BPE over printable ASCII, the space and the newline, with a dozen merges."""
    merges = [
        "t h",
        "h e",
        "i n",
        "e r",
        "a n",
        "\u0120 t",
        "\u0120 a",
        "th e",
        "\u0120t he",
        "o u",
        "r e",
        "n d",
        "\u0120 s",
        "i s",
        "o n",
    ]
    pieces = (
        [chr(c) for c in range(33, 127)]
        + ["\u0120", "\u010a"]
        + [m.replace(" ", "") for m in merges]
    )
    pieces += ["<|end|>"]
    assert len(pieces) == V
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": [1] * (V - 1) + [3],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": V - 1,
        "tokenizer.ggml.eos_token_id": V - 1,
    }


KEYS = {
    "attention_scale": "attention.scale",
    "embedding_scale": "embedding_scale",
    "residual_scale": "residual_scale",
    "logit_scale": "logit_scale",
    "use_parallel_residual": "use_parallel_residual",
    "attention_cap": "attn_logit_softcapping",
    "logit_cap": "final_logit_softcapping",
}


def make_keys(name, m):
    a = m["arch"]
    eps = "layer_norm_epsilon" if m["norm"] == "layer" else "layer_norm_rms_epsilon"
    keys = {
        "general.architecture": a,
        "general.name": f"tiny random {name}",
        f"{a}.block_count": m["L"],
        f"{a}.context_length": CONTEXT,
        f"{a}.embedding_length": m["C"],
        f"{a}.feed_forward_length": m["F"],
        f"{a}.attention.head_count": m["heads"],
        f"{a}.attention.{eps}": m["eps"],
    }
    if m["kv_heads"] != m["heads"]:
        keys[f"{a}.attention.head_count_kv"] = m["kv_heads"]
    if m["D"] * m["heads"] != m["C"]:
        keys[f"{a}.attention.key_length"] = keys[f"{a}.attention.value_length"] = m["D"]
    if m["rope"] != "none" and m["rope_base"] != 10000:  # the default
        keys[f"{a}.rope.freq_base"] = m["rope_base"]
    if "rope_dim" in m:
        keys[f"{a}.rope.dimension_count"] = m["rope_dim"]
    if "rope_factor" in m:
        keys[f"{a}.rope.scaling.type"] = "linear"
        keys[f"{a}.rope.scaling.factor"] = m["rope_factor"]
    if "sliding_window" in m:
        keys[f"{a}.attention.sliding_window"] = m["sliding_window"]
    for key, name in KEYS.items():
        if key in m:
            keys[f"{a}.{name}"] = m[key]
    return {**keys, **(spm_vocabulary if m.get("spm") else bpe_vocabulary)(m["V"])}


def make(name, m, folder):
    m["eps"] = float(np.float32(m["eps"]))  # as the file has it
    tensors, stored = {}, {}
    for key, values in make_weights(m).items():
        matrix = values.ndim > 1 and key != "position_embd.weight"
        kind = m.get("type", F32) if matrix else F32
        data, stored[key] = encode(values, kind)
        tensors[key] = (values.shape, kind, data)
    write_gguf(os.path.join(folder, f"{name}.gguf"), make_keys(name, m), tensors)
    ids = np.random.RandomState(m["seed"] + 100).randint(0, m["V"], TOKENS)
    logits = forward(m, stored, ids)
    with open(os.path.join(folder, f"{name}.tokens.txt"), "w") as file:
        file.writelines(f"{i}\n" for i in ids)
    logits.astype("<f4").tofile(os.path.join(folder, f"{name}.logits.f32"))
    size = os.path.getsize(os.path.join(folder, f"{name}.gguf"))
    print(f"{name:14} {size:6} bytes, logits {logits.min():.1f} ... {logits.max():.1f}")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "fixtures", "families")
    os.makedirs(folder, exist_ok=True)
    for name, m in MODELS.items():
        make(name, m, folder)


if __name__ == "__main__":
    main()
