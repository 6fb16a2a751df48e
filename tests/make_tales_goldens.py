#!/usr/bin/env python3
"""Writes the logits that the two shipped models must give for a fixed text.

    python3 tests/make_tales_goldens.py [tests/fixtures/tales]

The text is text.tokens.txt in that folder. Each NAME.logits.f32 holds the logits of every 16th
token of the vocabulary, at every position of the text (little-endian float32). The forward pass
below reads the same GGUF files as the engine and shares nothing else with it: it is float64,
written from the papers (FAVOR+: Choromanski et al. 2020, Lemma 1), and builds the whole matrix of
attention weights where the engine keeps running sums. Needs numpy.
"""

import os
import struct
import sys

import numpy as np

STRIDE = 16
# name of the golden: model, attention, window, sinks
GOLDENS = {
    "softmax": ("tales-softmax", "softmax", 0, 0),
    "favor": ("tales-favor", "favor", 0, 0),
    "favor-window": ("tales-favor", "favor", 5, 1),
}


def read_gguf(path):
    """The keys and the tensors (float64, the last axis the fastest) of a GGUF file of version 3."""
    data = open(path, "rb").read()
    at = 0

    def take(form):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values[0]

    def string():
        nonlocal at
        size = take("Q")
        at += size
        return data[at - size : at].decode("utf-8", "replace")

    def value(kind):
        if kind == 8:
            return string()
        if kind == 9:
            each, count = take("I"), take("Q")
            return [value(each) for _ in range(count)]
        return take(
            {
                0: "B",
                1: "b",
                2: "H",
                3: "h",
                4: "I",
                5: "i",
                6: "f",
                7: "?",
                10: "Q",
                11: "q",
                12: "d",
            }[kind]
        )

    assert take("4s") == b"GGUF" and take("I") == 3
    n_tensors, n_keys = take("Q"), take("Q")
    keys = {}
    for _ in range(n_keys):
        key = string()
        keys[key] = value(take("I"))
    infos = []
    for _ in range(n_tensors):
        name = string()
        shape = [take("Q") for _ in range(take("I"))]
        infos.append((name, shape[::-1], take("I"), take("Q")))
    start = -(-at // keys.get("general.alignment", 32)) * keys.get("general.alignment", 32)
    tensors = {}
    for name, shape, kind, offset in infos:
        numbers = np.frombuffer(
            data, {0: "<f4", 1: "<f2"}[kind], int(np.prod(shape)), start + offset
        )
        tensors[name] = numbers.reshape(shape).astype(np.float64)
    return keys, tensors


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def rotate(x, base):
    """RoPE on adjacent pairs as complex numbers; x [T, H, D], position t on axis 0."""
    T, _, D = x.shape
    angles = np.arange(T)[:, None] * base ** (-np.arange(0, D, 2) / D)  # [T, D/2]
    pairs = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[:, None, :]
    return np.stack([pairs.real, pairs.imag], -1).reshape(x.shape)


def weights_of_head(q, k, omega, window, sinks):
    """Attention weights [T, T]. omega [M, D]: keys outside the window and the sinks are estimated,
    exp(q.k / sqrt(D)) by phi(q).phi(k); None: all are exact."""
    T, D = q.shape
    j, t = np.arange(T)[None, :], np.arange(T)[:, None]
    weights = np.exp(q @ k.T / np.sqrt(D))
    if omega is not None:

        def phi(x):  # Lemma 1: E[phi(x).phi(y)] = exp(x.y) for rows of omega from N(0, I)
            x = x * D**-0.25
            return np.exp(x @ omega.T - (x * x).sum(-1, keepdims=True) / 2) / np.sqrt(len(omega))

        exact = (j < sinks) | (j > t - window)
        weights = np.where(exact, weights, phi(q) @ phi(k).T)
    weights = np.where(j <= t, weights, 0)
    return weights / weights.sum(-1, keepdims=True)


def forward(keys, w, ids, attention, window, sinks):
    """Logits [T, V]."""
    layers, H = keys["llama.block_count"], keys["llama.attention.head_count"]
    assert keys.get("llama.attention.head_count_kv", H) == H
    eps = keys["llama.attention.layer_norm_rms_epsilon"]
    base = keys.get("llama.rope.freq_base", 10000.0)
    x = w["token_embd.weight"][ids]
    T, C = x.shape
    for layer in range(layers):

        def linear(y, name):
            return y @ w[f"blk.{layer}.{name}.weight"].T

        y = rms_norm(x, w[f"blk.{layer}.attn_norm.weight"], eps)
        q, k, v = (linear(y, f"attn_{p}").reshape(T, H, C // H) for p in "qkv")
        q, k = rotate(q, base), rotate(k, base)
        out = np.empty((T, H, C // H))
        for h in range(H):
            omega = w[f"blk.{layer}.favor.projection"][h] if attention == "favor" else None
            out[:, h] = weights_of_head(q[:, h], k[:, h], omega, window, sinks) @ v[:, h]
        x = x + linear(out.reshape(T, C), "attn_output")
        y = rms_norm(x, w[f"blk.{layer}.ffn_norm.weight"], eps)
        gate = linear(y, "ffn_gate")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(y, "ffn_up"), "ffn_down")
    head = w.get("output.weight", w["token_embd.weight"])
    return rms_norm(x, w["output_norm.weight"], eps) @ head.T


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures/tales"
    ids = np.loadtxt(os.path.join(folder, "text.tokens.txt"), dtype=int)
    for name, (model, attention, window, sinks) in GOLDENS.items():
        keys, tensors = read_gguf(f"models/weights/{model}.gguf")
        logits = forward(keys, tensors, ids, attention, window, sinks)
        logits[:, ::STRIDE].astype("<f4").tofile(os.path.join(folder, f"{name}.logits.f32"))
        chosen = logits[np.arange(len(ids) - 1), ids[1:]]
        loss = np.mean(np.log(np.exp(logits[:-1]).sum(-1)) - chosen)
        print(f"{name}: loss {loss:.6f} nats per token")


if __name__ == "__main__":
    main()
