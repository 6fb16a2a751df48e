#!/usr/bin/env python3
"""Writes tests/fixtures/hf_families: a tiny random Hugging Face folder per family, and its logits.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install torch transformers
    /tmp/oracle/bin/python tests/make_hf_families.py [NAME...]

NAME.tokens.txt and NAME.logits.f32 (little-endian, [tokens][vocab]) go beside each folder. The
logits are those of transformers, which reads the very folder that our tests read, in float64. The
fixtures were made with torch 2.15 and transformers 5.24. Tests need neither.
"""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "hf_families")
TOKENS = 24

COMMON = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
RMS = {**COMMON, "num_key_value_heads": 2, "rms_norm_eps": 1e-5}
GEMMA = {
    **RMS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 12,
    "query_pre_attn_scalar": 9,
    "sliding_window": 5,
}
YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 4.0,
    "rope_theta": 500.0,
}
LONG = {
    "short_factor": [1.0, 1.1, 1.5],
    "long_factor": [1.0, 2.0, 4.0],
}
# config.json as its publishers write it: for transformers 4 (rope_theta, rope_scaling) or 5
# (rope_parameters)
MODELS = {
    "mistral": {
        **RMS,
        "model_type": "mistral",
        "head_dim": 6,
        "sliding_window": 7,
        "rope_theta": 1e3,
    },
    "mistral-full": {
        **RMS,
        "model_type": "mistral",
        "sliding_window": None,
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    },
    "llama-yarn": {**RMS, "model_type": "llama", "rope_parameters": YARN, "hidden_size": 32},
    "qwen2-yarn": {
        **RMS,
        "model_type": "qwen2",
        "hidden_size": 32,
        "rope_theta": 500.0,
        "rope_scaling": {
            "type": "yarn",
            "factor": 8.0,
            "original_max_position_embeddings": 16,
            "beta_slow": 0.5,
            "attention_factor": 1.1,
        },
    },
    # layers 1 and 2 slide
    "qwen3-sliding": {
        **RMS,
        "model_type": "qwen3",
        "head_dim": 8,
        "num_hidden_layers": 3,
        "use_sliding_window": True,
        "sliding_window": 6,
        "max_window_layers": 1,
    },
    "phi3": {**RMS, "model_type": "phi3", "sliding_window": 9, "pad_token_id": 0},
    # as Phi-4 mini: longrope on three quarters of a head
    "phi3-long": {
        **RMS,
        "model_type": "phi3",
        "hidden_size": 32,
        "max_position_embeddings": 256,
        "original_max_position_embeddings": 64,
        "partial_rotary_factor": 0.75,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "rope_scaling": {"type": "longrope", **LONG},
    },
    # beyond the original context of 16: the long factors
    "phi3-longer": {
        **RMS,
        "model_type": "phi3",
        "hidden_size": 32,
        "max_position_embeddings": 128,
        "original_max_position_embeddings": 16,
        "partial_rotary_factor": 0.75,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "rope_scaling": {"type": "longrope", **LONG},
    },
    "gemma": {
        **RMS,
        "model_type": "gemma",
        "num_key_value_heads": 1,
        "head_dim": 8,
        "hidden_act": "gelu",
    },
    "gemma2": {
        **GEMMA,
        "model_type": "gemma2",
        "num_hidden_layers": 3,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 3.0,
    },
    # as transformers 4 wrote it
    "gemma3": {
        **GEMMA,
        "model_type": "gemma3_text",
        "num_hidden_layers": 7,
        "sliding_window_pattern": 3,
        "rope_theta": 1e5,
        "rope_local_base_freq": 1e3,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
    # as transformers 5 writes it
    "gemma3-5": {
        **GEMMA,
        "model_type": "gemma3_text",
        "num_hidden_layers": 4,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e2},
        },
    },
    "granite": {
        **RMS,
        "model_type": "granite",
        "embedding_multiplier": 3.0,
        "residual_multiplier": 0.4,
        "logits_scaling": 5.0,
        "attention_multiplier": 0.2,
        "tie_word_embeddings": True,
    },
    "olmo2": {**RMS, "model_type": "olmo2"},
    "smollm3": {
        **RMS,
        "model_type": "smollm3",
        "num_hidden_layers": 4,
        "no_rope_layers": [1, 1, 1, 0],
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    },
    "stablelm": {
        **COMMON,
        "model_type": "stablelm",
        "num_key_value_heads": 2,
        "hidden_size": 32,
        "use_qkv_bias": True,
        "partial_rotary_factor": 0.25,
        "layer_norm_eps": 1e-5,
    },
    "starcoder2": {
        **COMMON,
        "model_type": "starcoder2",
        "num_key_value_heads": 2,
        "sliding_window": 8,
        "norm_epsilon": 1e-5,
    },
    "phi": {
        **COMMON,
        "model_type": "phi",
        "num_key_value_heads": 4,
        "hidden_size": 16,
        "partial_rotary_factor": 0.5,
        "layer_norm_eps": 1e-5,
    },
    "gpt_neox": {
        **COMMON,
        "model_type": "gpt_neox",
        "hidden_size": 32,
        "rotary_pct": 0.25,
        "rotary_emb_base": 1000,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
    },
    "gpt_neox-serial": {
        **COMMON,
        "model_type": "gpt_neox",
        "use_parallel_residual": False,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 1.0,
        },
    },
    "gpt_neo": {
        "model_type": "gpt_neo",
        "vocab_size": 64,
        "hidden_size": 16,
        "num_layers": 3,
        "num_heads": 2,
        "attention_types": [[["global", "local"], 1], [["global"], 1]],
        "window_size": 6,
        "max_position_embeddings": 32,
    },
    "opt": {
        "model_type": "opt",
        "vocab_size": 64,
        "hidden_size": 16,
        "ffn_dim": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "word_embed_proj_dim": 16,
        "max_position_embeddings": 32,
    },
}
TYPES = {"phi3": torch.bfloat16, "gemma": torch.bfloat16, "mistral": torch.float16}


def randomise(model, gemma):
    """Weights that keep the scale of what flows; norms differ from 1, biases from 0."""
    for name, p in model.named_parameters():
        x = torch.randn(p.shape)
        if "norm" in name or "ln_" in name:
            x = (0 if gemma or name.endswith("bias") else 1) + 0.2 * x
        elif p.dim() == 1:
            x = 0.2 * x
        elif "embed" in name or "wte" in name or "wpe" in name:
            x = 0.5 * x
        else:
            x = 1.1 * x / p.shape[-1] ** 0.5
        p.data = x.to(p.dtype)


def write(name, config):
    folder = os.path.join(OUT, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)
        file.write("\n")
    torch.manual_seed(sum(map(ord, name)))
    parsed = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_config(parsed)
    randomise(model, "gemma" in name)
    kind = TYPES.get(name, torch.float32)
    seen, tensors = set(), {}
    for key, value in model.state_dict().items():
        if name == "gpt_neox":  # the published files have the older name
            key = key.replace("lm_head", "embed_out")
        if value.data_ptr() not in seen:  # a tied matrix once
            tensors[key] = value.to(kind).contiguous()
        seen.add(value.data_ptr())
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float64, output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    ids = torch.randint(3, config["vocab_size"], (1, TOKENS))
    with torch.no_grad():
        logits = model.eval()(ids, use_cache=False).logits[0]
    with open(os.path.join(OUT, f"{name}.tokens.txt"), "w") as file:
        file.writelines(f"{i}\n" for i in ids[0].tolist())
    logits.numpy().astype("<f4").tofile(os.path.join(OUT, f"{name}.logits.f32"))
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{name:16} {size:6} bytes, logits {logits.min():.1f} ... {logits.max():.1f}")


for name in sys.argv[1:] or MODELS:
    write(name, MODELS[name])
