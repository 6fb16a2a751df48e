#!/usr/bin/env python3
"""Compares a gradient of engine/train with PyTorch's automatic one; for tests/test_train_torch.c.

    python3 tests/train_torch.py FOLDER

FOLDER/shape.txt holds "name value" lines; weights.f32, gradient.f32, omega.f32 are raw float32, in
the order of train_weights.h; ids.i32 is [batch, tokens + 1]. The model below is written from the
formulas alone, in float64: FAVOR+ as a whole matrix of kernel values, no stabiliser, no chunks.
Exits 1 and says where, if the loss or a gradient differs by more than 1e-4 of its size.
"""

import os
import sys

import numpy as np
import torch

TOLERANCE = 1e-4


def rms_norm(x, w):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * w


def rope(x):
    """Adjacent pairs; x [batch, tokens, heads, D]."""
    D, T = x.shape[-1], x.shape[1]
    frequency = 10000.0 ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    angle = torch.arange(T, dtype=torch.float64)[:, None] * frequency
    c, s = torch.cos(angle)[None, :, None], torch.sin(angle)[None, :, None]
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * c - b * s, a * s + b * c), -1).flatten(-2)


def kernel(q, k, omega, D, kind):
    """The weights of all pairs [batch, heads, T, T], before the mask."""
    if kind == "softmax":
        return torch.exp(torch.einsum("bihd,bjhd->bhij", q, k) / D**0.5)
    x, y = q * D**-0.25, k * D**-0.25

    def phi(z):
        u = torch.einsum("bthd,hmd->bthm", z, omega)
        if kind == "relu":
            return torch.relu(u) + 1e-3
        return torch.exp(u - (z * z).sum(-1, keepdim=True) / 2)

    return torch.einsum("bihm,bjhm->bhij", phi(x), phi(y))


def model(w, s, ids, omega, kind):
    B, T = ids.shape[0], ids.shape[1] - 1
    H, KV, D = s["heads"], s["kv_heads"], s["head_dim"]
    x = w["embedding"][ids[:, :-1]]
    for layer in range(s["layers"]):
        n = rms_norm(x, w[f"{layer}.attention_norm"])
        qkv = n @ w[f"{layer}.qkv"].T
        q, k, v = torch.split(qkv, [H * D, KV * D, KV * D], -1)
        q, k = rope(q.view(B, T, H, D)), rope(k.view(B, T, KV, D))
        k = k.repeat_interleave(H // KV, 2)
        v = v.view(B, T, KV, D).repeat_interleave(H // KV, 2)
        per_head = None if kind == "softmax" else omega[layer].repeat_interleave(H // KV, 0)
        A = torch.tril(kernel(q, k, per_head, D, kind))
        heads = torch.einsum("bhij,bjhd->bihd", A / A.sum(-1, keepdim=True), v)
        x = x + heads.reshape(B, T, H * D) @ w[f"{layer}.output"].T
        gate, up = (rms_norm(x, w[f"{layer}.mlp_norm"]) @ w[f"{layer}.gate_up"].T).chunk(2, -1)
        x = x + (gate * torch.sigmoid(gate) * up) @ w[f"{layer}.down"].T
    logits = rms_norm(x, w["final_norm"]) @ w["embedding"].T
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def shapes(s):
    C, F, D = s["width"], s["hidden"], s["head_dim"]
    HD, Q = s["heads"] * D, (s["heads"] + 2 * s["kv_heads"]) * D
    yield "embedding", (s["vocabulary"], C)
    for layer in range(s["layers"]):
        yield f"{layer}.qkv", (Q, C)
        yield f"{layer}.output", (C, HD)
        yield f"{layer}.gate_up", (2 * F, C)
        yield f"{layer}.down", (C, F)
    yield "final_norm", (C,)
    for layer in range(s["layers"]):
        yield f"{layer}.attention_norm", (C,)
        yield f"{layer}.mlp_norm", (C,)


def split(numbers, s):
    at, parts = 0, {}
    for name, shape in shapes(s):
        n = int(np.prod(shape))
        parts[name] = numbers[at : at + n].reshape(shape).astype(np.float64)
        at += n
    assert at == len(numbers), "weights of another size"
    return parts


def main(folder):
    def read(name, kind):
        return np.fromfile(os.path.join(folder, name), kind)

    with open(os.path.join(folder, "shape.txt")) as file:
        words = dict(line.split() for line in file)
    kind, expected = words.pop("kind"), float(words.pop("loss"))
    s = {name: int(value) for name, value in words.items()}
    weights = split(read("weights.f32", "<f4"), s)
    w = {name: torch.tensor(part, requires_grad=True) for name, part in weights.items()}
    gradient = split(read("gradient.f32", "<f4"), s)
    ids = torch.tensor(read("ids.i32", "<i4").astype(np.int64)).view(-1, s["tokens"] + 1)
    omega = None
    if kind != "softmax":
        omega = torch.tensor(read("omega.f32", "<f4").astype(np.float64))
        omega = omega.view(s["layers"], s["kv_heads"], s["features"], s["head_dim"])
    loss = model(w, s, ids, omega, kind)
    loss.backward()
    worst = abs(loss.item() - expected) / loss.item()
    where = "loss"
    for name, ours in gradient.items():
        theirs = w[name].grad.numpy()
        error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        if not error <= worst:
            worst, where = error, name
    print(f"{kind}: loss {loss.item():.6f}, largest relative difference {worst:.2e} ({where})")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
