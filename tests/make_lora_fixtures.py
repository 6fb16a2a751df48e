#!/usr/bin/env python3
"""Writes tests/fixtures/lora: adapters for the models of make_hf_fixtures.py, and the logits of
these models with an adapter merged.

    python3 tests/make_lora_fixtures.py

NAME/ is a folder as PEFT saves it, NAME.gguf an adapter as llama.cpp has it, and NAME.logits.f32
[tokens][vocab] what numpy computes in float64 from W + scale B A, for the ids of the model's
tokens.txt. Seeds are fixed, so every run writes the same files. Needs numpy.
"""

import json
import os
import shutil
import struct

import numpy as np

import make_hf_fixtures as hf  # writes its own files again: the same
from make_tiny_families import write_gguf

OUT = "tests/fixtures/lora/"


def read_model(name):
    """(config, values) of a folder of make_hf_fixtures.py."""
    folder, values = hf.OUT + name + "/", {}
    with open(folder + "config.json", encoding="utf-8") as file:
        config = json.load(file)
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")):
        with open(folder + file, "rb") as opened:
            data = opened.read()
        n = struct.unpack("<Q", data[:8])[0]
        for key, entry in json.loads(data[8 : 8 + n]).items():
            if key == "__metadata__" or entry["dtype"] == "U8":
                continue
            begin, end = (8 + n + offset for offset in entry["data_offsets"])
            raw = data[begin:end]
            if entry["dtype"] == "BF16":
                raw = (np.frombuffer(raw, "<u2").astype("<u4") << 16).tobytes()
            kind = "<f2" if entry["dtype"] == "F16" else "<f4"
            values[key] = np.frombuffer(raw, kind).reshape(entry["shape"]).astype(np.float64)
    return config, values


def logits(name, model, values):
    config = read_model(model)[0]
    tokens = np.loadtxt(hf.OUT + model + ".tokens.txt", dtype=int)
    forward = hf.gpt2 if config["model_type"] == "gpt2" else hf.llama
    forward(config, values, tokens).astype("<f4").tofile(OUT + name + ".logits.f32")


def draw(random, rows, cols, rank):
    """A [rank, cols] and B [rows, rank], rounded to float32."""
    a, b = random.normal(size=(rank, cols)) / np.sqrt(cols), random.normal(size=(rows, rank))
    return a.astype(np.float32), b.astype(np.float32)


def write_peft(name, config, tensors, dtype="F32"):
    folder = OUT + name + "/"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    hf.write_json(folder + "adapter_config.json", {"peft_type": "LORA", "bias": "none"} | config)
    stored = {key: (dtype, list(x.shape), hf.encode(x, dtype)[0]) for key, x in tensors.items()}
    hf.write_safetensors(folder + "adapter_model.safetensors", stored)


def permute(b, heads):
    """Rows of each head: halves to neighbours, as GGUF has them for the family llama."""
    rows = b.shape[0]
    return b.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(rows, -1)


GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def llama():
    """Every matrix, in both forms, with a rank and an alpha of its own for some."""
    config, values = read_model("llama")
    random = np.random.default_rng(11)
    peft, gguf = {}, {}
    alpha, alphas = 6.0, {"self_attn.v_proj": 9.0, "layers.1.mlp.down_proj": -4.0}

    def add(module, target, rank, mine, rows_of=lambda b: b):
        weight = module + ".weight"
        a, b = draw(random, *values[weight].shape, rank)
        values[weight] += mine / rank * (b.astype(np.float64) @ a)
        peft[f"base_model.model.{module}.lora_A.weight"] = a
        peft[f"base_model.model.{module}.lora_B.weight"] = b
        b = rows_of(b) * np.float32(mine / alpha)
        for half, x in (("a", a), ("b", b)):
            gguf[f"{target}.weight.lora_{half}"] = (x.shape, 0, x.astype("<f4").tobytes())

    for layer in range(config["num_hidden_layers"]):
        for module, target in GGUF_NAMES.items():
            full = f"model.layers.{layer}.{module}"
            mine = next((x for key, x in alphas.items() if full.endswith("." + key)), alpha)
            heads = {"attn_q": config["num_attention_heads"],
                     "attn_k": config["num_key_value_heads"]}.get(target)
            add(full, f"blk.{layer}.{target}", 2 if module == "mlp.down_proj" else 3, mine,
                (lambda b, h=heads: permute(b, h)) if heads else lambda b: b)
    add("lm_head", "output", 3, alpha)
    V, C = values["model.embed_tokens.weight"].shape
    a, b = draw(random, C, V, 3)
    values["model.embed_tokens.weight"] += alpha / 3 * (b.astype(np.float64) @ a).T
    peft["base_model.model.model.embed_tokens.lora_embedding_A"] = a
    peft["base_model.model.model.embed_tokens.lora_embedding_B"] = b
    for half, x in (("a", np.ascontiguousarray(a.T)), ("b", b)):
        gguf[f"token_embd.weight.lora_{half}"] = (x.shape, 0, x.tobytes())
    write_peft("llama", {"r": 3, "lora_alpha": 6, "rank_pattern": {"mlp.down_proj": 2},
                         "alpha_pattern": alphas}, peft)
    write_gguf(OUT + "llama.gguf", {
        "general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora",
        "adapter.lora.alpha": alpha}, gguf)
    logits("llama", "llama", values)


def gpt2():
    """Conv1D's matrices, rank-stabilised, float16."""
    values, random, peft = read_model("gpt2")[1], np.random.default_rng(12), {}
    for module in ("h.0.attn.c_attn", "h.1.attn.c_proj", "h.1.mlp.c_fc", "h.0.mlp.c_proj"):
        cols, rows = values[module + ".weight"].shape
        a, b = (hf.encode(x, "F16")[1] for x in draw(random, rows, cols, 4))
        values[module + ".weight"] += 2 / np.sqrt(4) * (b @ a).T
        peft[f"base_model.model.transformer.{module}.lora_A.weight"] = a
        peft[f"base_model.model.transformer.{module}.lora_B.weight"] = b
    write_peft("gpt2", {"r": 4, "lora_alpha": 2, "use_rslora": True, "fan_in_fan_out": True}, peft,
               "F16")
    logits("gpt2", "gpt2", values)


def qwen2():
    """A tied model: only the output changes in one adapter, only the embedding in the other."""
    values, random = read_model("qwen2")[1], np.random.default_rng(13)
    embedding = values["model.embed_tokens.weight"]
    a, b = draw(random, *embedding.shape, 1)
    write_peft("qwen2-output", {"r": 1, "lora_alpha": 1}, {
        "base_model.model.lm_head.lora_A.weight": a, "base_model.model.lm_head.lora_B.weight": b})
    logits("qwen2-output", "qwen2", values | {"lm_head.weight": embedding + b.astype(float) @ a})
    a, b = (hf.encode(x, "F16")[1] for x in draw(random, *embedding.shape[::-1], 2))
    write_gguf(OUT + "qwen2-embedding.gguf", {
        "general.type": "adapter", "general.architecture": "qwen2", "adapter.type": "lora",
        "adapter.lora.alpha": 0.0,
    }, {f"token_embd.weight.lora_{half}": (x.shape, 1, x.astype("<f2").tobytes())
        for half, x in (("a", np.ascontiguousarray(a.T)), ("b", b))})
    logits("qwen2-embedding", "qwen2", values | {
        "model.embed_tokens.weight": embedding + (b @ a).T, "lm_head.weight": embedding})


os.makedirs(OUT, exist_ok=True)
llama()
gpt2()
qwen2()
