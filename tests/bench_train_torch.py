#!/usr/bin/env python3
"""Tokens per second of training: performer beside PyTorch, on the same threads, in turns.

    /usr/bin/python3 tests/bench_train_torch.py [THREADS] [ROUNDS]

The shape of the shipped models: 4 layers, width 128, 4 heads, MLP 352, 1,024 pieces, 16 sequences
of 256 tokens, AdamW, float32. PyTorch's side is the same model in the usual style (one matrix for
q, k and v, batched matmul, softmax with a mask), and under FAVOR+ in chunks of 64 as performer
computes it, so that both do the same work. Not a test: it takes a minute or two. Needs PyTorch.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import torch
from torch import nn
from torch.nn import functional

LAYERS, C, H, F, V, T, BATCH, M, CHUNK = 4, 128, 4, 352, 1024, 256, 16, 64, 64
D = C // H


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(C))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


def rope(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


def favor(q, k, v, omega):
    """Causal FAVOR+ [batch, heads, T, D], chunk by chunk with a running sum."""
    q, k = q * D**-0.25, k * D**-0.25
    u = q @ omega.transpose(-1, -2)
    f_q = torch.exp(u - u.amax(-1, keepdim=True))
    u = k @ omega.transpose(-1, -2) - (k * k).sum(-1, keepdim=True) / 2
    f_k = torch.exp(u - u.amax((-1, -2), keepdim=True))
    v = functional.pad(v, (0, 1), value=1.0)
    S, out = 0, []
    for f_qc, f_kc, v_c in zip(f_q.split(CHUNK, 2), f_k.split(CHUNK, 2), v.split(CHUNK, 2)):
        R = torch.tril(f_qc @ f_kc.transpose(-1, -2)) @ v_c + f_qc @ (S + torch.zeros(M, D + 1))
        out.append(R[..., :D] / R[..., D:])
        S = S + f_kc.transpose(-1, -2) @ v_c
    return torch.cat(out, 2)


class Block(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.norm1, self.norm2 = RMSNorm(), RMSNorm()
        self.qkv, self.out = nn.Linear(C, 3 * C, bias=False), nn.Linear(C, C, bias=False)
        self.gate_up = nn.Linear(C, 2 * F, bias=False)
        self.down = nn.Linear(F, C, bias=False)
        self.register_buffer("mask", torch.tril(torch.ones(T, T, dtype=torch.bool)))
        self.register_buffer("omega", torch.randn(H, M, D))

    def forward(self, x, cos, sin):
        q, k, v = self.qkv(self.norm1(x)).view(BATCH, T, 3, H, D).permute(2, 0, 3, 1, 4)
        q, k = rope(q, cos, sin), rope(k, cos, sin)
        if self.kind == "favor":
            heads = favor(q, k, v, self.omega)
        else:
            scores = (q @ k.transpose(-1, -2) * D**-0.5).masked_fill(~self.mask, float("-inf"))
            heads = torch.softmax(scores, -1) @ v
        x = x + self.out(heads.transpose(1, 2).reshape(BATCH, T, C))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(functional.silu(gate) * up)


class Model(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(V, C)
        self.blocks = nn.ModuleList(Block(kind) for _ in range(LAYERS))
        self.norm = RMSNorm()
        frequency = 10000.0 ** (-torch.arange(0, D, 2) / D)
        angle = torch.arange(T)[:, None] * frequency
        self.register_buffer("cos", torch.cos(angle))
        self.register_buffer("sin", torch.sin(angle))

    def forward(self, ids):
        x = self.embedding(ids[:, :-1])
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = self.norm(x) @ self.embedding.weight.T
        return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def torch_speed(kind, steps):
    torch.manual_seed(1)
    model = Model(kind)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.95), weight_decay=0.1)
    start = None
    for step in range(steps + 1):
        if step == 1:
            start = time.perf_counter()  # the first step warms up
        optimizer.zero_grad()
        model(torch.randint(0, V, (BATCH, T + 1))).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return steps * BATCH * T / (time.perf_counter() - start)


def our_speed(kind, steps, threads, folder):
    text = "models/weights/sample.txt"
    words = open(text).read() * 40
    path = os.path.join(folder, "text.txt")
    with open(path, "w") as file:
        file.write(words)
    command = [os.environ.get("PERFORMER", "./performer"), "train", "--file", path, "--quiet"]
    command += ["--tokenizer", "models/weights/tales-softmax.gguf", "--attention", kind, "--json"]
    command += ["--steps", str(steps), "--threads", str(threads), "--hold-out", "0", "--force"]
    command += ["-o", os.path.join(folder, "out.gguf")]
    done = subprocess.run(command, capture_output=True, check=True)
    return json.loads(done.stdout)["tokens_per_second"]


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        for kind in "softmax", "favor":
            theirs = ours = 0
            for _ in range(rounds):
                theirs = max(theirs, torch_speed(kind, 4))
                ours = max(ours, our_speed(kind, 8, threads, folder))
            print(f"{kind}: PyTorch {torch.__version__} {theirs:.0f} tokens/s, performer "
                  f"{ours:.0f}, {ours / theirs:.2f} times (best of {rounds}, {threads} threads)")


if __name__ == "__main__":
    main()
