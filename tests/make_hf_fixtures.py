#!/usr/bin/env python3
"""Writes tests/fixtures/hf: a tiny random Hugging Face folder per family, and its logits.

    python3 tests/make_hf_fixtures.py

NAME.tokens.txt and NAME.logits.f32 (little-endian, [tokens][vocab]) go beside each folder. The
logits come from the forward passes below: plain numpy in float64, written from what transformers
computes, on tensors as the folder holds them (rotary halves, Conv1D). Seeds are fixed, so every
run writes the same files. Needs numpy and tests/fixtures/tokenizers.
"""

import json
import os
import shutil
import struct

import numpy as np

OUT = "tests/fixtures/hf/"
TOKENIZERS = "tests/fixtures/tokenizers/"


# ---- safetensors -------------------------------------------------------------------------------


def encode(x, dtype):
    """float64 -> (bytes in the file, the float64 values that these bytes stand for)."""
    x = np.ascontiguousarray(x, np.float32)
    if dtype == "F32":
        return x.tobytes(), x.astype(np.float64)
    if dtype == "F16":
        return x.astype(np.float16).tobytes(), x.astype(np.float16).astype(np.float64)
    if dtype == "U8":
        return x.astype(np.uint8).tobytes(), x.astype(np.float64)
    bits = x.view(np.uint32)
    bits = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return bits.tobytes(), (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def write_safetensors(path, tensors):
    """tensors: name -> (dtype, shape, bytes)."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


# ---- what transformers computes ----------------------------------------------------------------


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def layer_norm(x, weight, bias, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight + bias


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attend(q, k, v):
    """q [T, H, D], k and v [T, G, D] -> [T, H * D], causal."""
    T, H, D = q.shape
    k, v = (np.repeat(a, H // a.shape[1], axis=1) for a in (k, v))
    scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(D)
    scores += np.triu(np.full((T, T), -np.inf), 1)
    return np.einsum("hts,shd->thd", softmax(scores), v).reshape(T, H * D)


def inverse_frequencies(config, D):
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    freq = theta ** (-np.arange(0, D, 2) / D)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "linear":
        freq = freq / rope["factor"]
    if kind == "llama3":
        low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
        context = rope["original_max_position_embeddings"]
        wave = 2 * np.pi / freq
        smooth = (context / wave - low) / (high - low)
        blend = (1 - smooth) * freq / factor + smooth * freq
        freq = np.where(
            wave > context / low, freq / factor, np.where(wave < context / high, freq, blend)
        )
    return freq


def rotate_half(x):
    half = x.shape[-1] // 2
    return np.concatenate([-x[..., half:], x[..., :half]], -1)


def llama(config, w, tokens):
    """LlamaForCausalLM; Qwen2 adds biases, Qwen3 norms of q and k."""
    T, H = len(tokens), config["num_attention_heads"]
    G = config.get("num_key_value_heads", H)
    D = config.get("head_dim") or config["hidden_size"] // H
    eps = config["rms_norm_eps"]
    angles = np.outer(np.arange(T), inverse_frequencies(config, D))
    cos, sin = (f(np.concatenate([angles, angles], -1))[:, None, :] for f in (np.cos, np.sin))
    x = w["model.embed_tokens.weight"][tokens]
    for i in range(config["num_hidden_layers"]):
        layer = lambda name: w.get(f"model.layers.{i}.{name}")
        linear = lambda y, name: y @ layer(name + ".weight").T + (
            0 if layer(name + ".bias") is None else layer(name + ".bias")
        )
        y = rms_norm(x, layer("input_layernorm.weight"), eps)
        q = linear(y, "self_attn.q_proj").reshape(T, H, D)
        k = linear(y, "self_attn.k_proj").reshape(T, G, D)
        v = linear(y, "self_attn.v_proj").reshape(T, G, D)
        if layer("self_attn.q_norm.weight") is not None:
            q = rms_norm(q, layer("self_attn.q_norm.weight"), eps)
            k = rms_norm(k, layer("self_attn.k_norm.weight"), eps)
        q, k = (a * cos + rotate_half(a) * sin for a in (q, k))
        x = x + linear(attend(q, k, v), "self_attn.o_proj")
        y = rms_norm(x, layer("post_attention_layernorm.weight"), eps)
        gate = linear(y, "mlp.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(y, "mlp.up_proj"), "mlp.down_proj")
    x = rms_norm(x, w["model.norm.weight"], eps)
    return x @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T


def gpt2(config, w, tokens):
    """GPT2LMHeadModel; its Conv1D computes x @ weight + bias."""
    T, H, C = len(tokens), config["n_head"], config["n_embd"]
    eps = config["layer_norm_epsilon"]
    x = w["wte.weight"][tokens] + w["wpe.weight"][:T]
    for i in range(config["n_layer"]):
        layer = lambda name: w[f"h.{i}.{name}"]
        conv = lambda y, name: y @ layer(name + ".weight") + layer(name + ".bias")
        y = layer_norm(x, layer("ln_1.weight"), layer("ln_1.bias"), eps)
        q, k, v = (a.reshape(T, H, C // H) for a in np.split(conv(y, "attn.c_attn"), 3, -1))
        x = x + conv(attend(q, k, v), "attn.c_proj")
        y = conv(layer_norm(x, layer("ln_2.weight"), layer("ln_2.bias"), eps), "mlp.c_fc")
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        x = x + conv(y, "mlp.c_proj")
    return layer_norm(x, w["ln_f.weight"], w["ln_f.bias"], eps) @ w["wte.weight"].T


# ---- random weights ----------------------------------------------------------------------------


def llama_shapes(config):
    C, F, V = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    H = config["num_attention_heads"]
    G, D = config["num_key_value_heads"], config.get("head_dim") or C // H
    family = config["model_type"]
    shapes = {"model.embed_tokens.weight": [V, C]}
    for i in range(config["num_hidden_layers"]):
        one = {
            "input_layernorm.weight": [C],
            "self_attn.q_proj.weight": [H * D, C],
            "self_attn.k_proj.weight": [G * D, C],
            "self_attn.v_proj.weight": [G * D, C],
            "self_attn.o_proj.weight": [C, H * D],
            "post_attention_layernorm.weight": [C],
            "mlp.gate_proj.weight": [F, C],
            "mlp.up_proj.weight": [F, C],
            "mlp.down_proj.weight": [C, F],
        }
        if family == "qwen2" or config.get("attention_bias"):
            one |= {
                "self_attn.q_proj.bias": [H * D],
                "self_attn.k_proj.bias": [G * D],
                "self_attn.v_proj.bias": [G * D],
            }
        if family == "llama" and config.get("attention_bias"):
            one["self_attn.o_proj.bias"] = [C]
        if family == "qwen3":
            one |= {"self_attn.q_norm.weight": [D], "self_attn.k_norm.weight": [D]}
        shapes |= {f"model.layers.{i}.{name}": shape for name, shape in one.items()}
    shapes["model.norm.weight"] = [C]
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = [V, C]
    return shapes


def gpt2_shapes(config):
    C, V, P = config["n_embd"], config["vocab_size"], config["n_positions"]
    shapes = {"wte.weight": [V, C], "wpe.weight": [P, C]}
    for i in range(config["n_layer"]):
        one = {
            "ln_1.weight": [C],
            "ln_1.bias": [C],
            "attn.bias": [1, 1, P, P],
            "attn.c_attn.weight": [C, 3 * C],
            "attn.c_attn.bias": [3 * C],
            "attn.c_proj.weight": [C, C],
            "attn.c_proj.bias": [C],
            "ln_2.weight": [C],
            "ln_2.bias": [C],
            "mlp.c_fc.weight": [C, 4 * C],
            "mlp.c_fc.bias": [4 * C],
            "mlp.c_proj.weight": [4 * C, C],
            "mlp.c_proj.bias": [C],
        }
        shapes |= {f"h.{i}.{name}": shape for name, shape in one.items()}
    return shapes | {"ln_f.weight": [C], "ln_f.bias": [C]}


def draw(shapes, dtype, random):
    """(tensors for the file, values for the reference)"""
    tensors, values = {}, {}
    for name, shape in shapes.items():
        kind = "U8" if name.endswith(".attn.bias") else dtype
        x = random.normal(size=shape)
        if kind == "U8":
            x = np.tril(np.ones(shape))
        elif len(shape) == 1:
            x = 1 + 0.3 * x if name.endswith("weight") else 0.5 * x
        elif "embed" not in name and not name.startswith("w"):
            x *= 1.5 / np.sqrt(shape[-1])
        raw, values[name] = encode(x, kind)
        tensors[name] = (kind, shape, raw)
    return tensors, values


# ---- folders -----------------------------------------------------------------------------------


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def make(name, config, dtype, seed, shards=1, tokenizer=None, **files):
    random = np.random.default_rng(seed)
    folder = OUT + name + "/"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    if tokenizer:
        shutil.copy(TOKENIZERS + tokenizer + ".json", folder + "tokenizer.json")
    family = config["model_type"]
    tensors, values = draw(
        (gpt2_shapes if family == "gpt2" else llama_shapes)(config), dtype, random
    )
    if shards == 1:
        write_safetensors(folder + "model.safetensors", tensors)
    else:
        names, weight_map = list(tensors), {}
        for s in range(shards):
            file = f"model-{s + 1:05}-of-{shards:05}.safetensors"
            part = names[s * len(names) // shards : (s + 1) * len(names) // shards]
            write_safetensors(folder + file, {n: tensors[n] for n in part})
            weight_map |= {n: file for n in part}
        write_json(
            folder + "model.safetensors.index.json",
            {
                "metadata": {"total_size": sum(len(t[2]) for t in tensors.values())},
                "weight_map": weight_map,
            },
        )
    write_json(folder + "config.json", config)
    for file, content in files.items():
        file = file.replace("__", ".")
        if isinstance(content, str):
            with open(folder + file, "w", encoding="utf-8") as out:
                out.write(content)
        else:
            write_json(folder + file, content)
    tokens = random.integers(3, config["vocab_size"] - 40, size=8)
    logits = (gpt2 if family == "gpt2" else llama)(config, values, tokens)
    with open(OUT + name + ".tokens.txt", "w") as out:
        out.write("".join(f"{t}\n" for t in tokens))
    logits.astype("<f4").tofile(OUT + name + ".logits.f32")
    size = sum(os.path.getsize(folder + f) for f in os.listdir(folder))
    print(f"{name}: {size} bytes, logits {logits.min():.2f} to {logits.max():.2f}")


def vocabulary_of(tokenizer):
    """(vocab.json, merges.txt) of a tokenizer.json."""
    with open(TOKENIZERS + tokenizer + ".json", encoding="utf-8") as file:
        whole = json.load(file)
    vocab = whole["model"]["vocab"] | {t["content"]: t["id"] for t in whole["added_tokens"]}
    merges = [m if isinstance(m, str) else " ".join(m) for m in whole["model"]["merges"]]
    return vocab, "#version: 0.2\n" + "\n".join(merges) + "\n"


os.makedirs(OUT, exist_ok=True)
make(
    "llama",
    {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": None,
        "vocab_size": 512,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "attention_bias": True,
        "mlp_bias": False,
        "torch_dtype": "bfloat16",
        "eos_token_id": 2,
        "rope_scaling": {
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
            "rope_type": "llama3",
        },
    },
    "BF16",
    1,
    tokenizer="llama2",
    tokenizer_config__json={
        "tokenizer_class": "LlamaTokenizer",
        "model_max_length": int(1e30),
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<s>",
        "eos_token": {
            "__type": "AddedToken",
            "content": "</s>",
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
        },
        "unk_token": "<unk>",
        "chat_template": "{% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}",
    },
    generation_config__json={"bos_token_id": 1, "eos_token_id": [2, 0]},
)
make(
    "qwen2",
    {
        "model_type": "qwen2",
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 640,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "sliding_window": 4,
        "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1000000.0},
    },
    "F32",
    2,
    shards=2,
    tokenizer="qwen2",
    tokenizer_config__json={
        "add_bos_token": False,
        "bos_token": None,
        "eos_token": "<|end|>",
        "chat_template": [{"name": "default", "template": "<|start|>"}],
    },
)
vocab, merges = vocabulary_of("gpt2")
make(
    "qwen3",
    {
        "model_type": "qwen3",
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 10,
        "vocab_size": 640,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
    },
    "F16",
    3,
    vocab__json=vocab,
    merges__txt=merges,
    chat_template__jinja="<|start|>",
    tokenizer_config__json={
        "eos_token": "<|end|>",
        "chat_template": "the file wins",
        "added_tokens_decoder": {
            str(vocab["<|mask|>"]): {"content": "<|mask|>", "special": True, "lstrip": True}
        },
    },
)
make(
    "gpt2",
    {
        "model_type": "gpt2",
        "n_embd": 24,
        "n_layer": 2,
        "n_head": 3,
        "n_positions": 32,
        "n_ctx": 32,
        "n_inner": None,
        "vocab_size": 604,
        "layer_norm_epsilon": 1e-5,
        "activation_function": "gelu_new",
        "bos_token_id": 600,
        "eos_token_id": 600,
    },
    "F16",
    4,
    tokenizer="gpt2",
)
