#!/usr/bin/env python3
"""Compares --lora with Hugging Face's PEFT on random models and adapters; speaks TAP.

    PERFORMER=./performer python3 tests/compare_peft.py

Skipped if torch, transformers or peft is not installed. The logits must agree within 1e-4.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import warnings

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "CUDA_VISIBLE_DEVICES": ""}
PERFORMER = os.environ.get("PERFORMER", "./performer")
TOKENS = [3, 9, 27, 81, 50, 11, 2, 77]
SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 96,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}
# what, the family's name in transformers, the model's and the adapter's settings
CASES = [
    ("llama: every matrix, ranks and alphas of their own", "Llama", SIZES,
     {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "alpha_pattern": {"q_proj": 3},
      "rank_pattern": {"layers.1.mlp.up_proj": 2}}),
    ("llama: embedding and output, rank-stabilised", "Llama", SIZES,
     {"r": 4, "lora_alpha": 8, "use_rslora": True,
      "target_modules": ["q_proj", "k_proj", "embed_tokens", "lm_head"]}),
    ("qwen2: a tied model", "Qwen2", SIZES | {"tie_word_embeddings": True},
     {"r": 2, "lora_alpha": 8, "target_modules": ["v_proj", "down_proj"]}),
    ("gpt2: Conv1D", "GPT2",
     {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 96, "n_positions": 64,
      "bos_token_id": 0, "eos_token_id": 0},
     {"r": 4, "lora_alpha": 8, "target_modules": ["c_attn", "c_proj", "c_fc"],
      "fan_in_fan_out": True}),
]


def compare(family, sizes, settings, folder):
    """The largest difference between our logits and PEFT's."""
    import numpy
    import peft
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, family + "Config")(**sizes)
    head = {"GPT2": "GPT2LMHeadModel"}.get(family, family + "ForCausalLM")
    model = getattr(transformers, head)(config).float().eval()
    base, adapter = folder + "/base", folder + "/adapter"
    model.save_pretrained(base)
    adapted = peft.get_peft_model(model, peft.LoraConfig(**settings)).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(adapter)
    with torch.no_grad():
        expected = adapted(torch.tensor([TOKENS])).logits[0].numpy()
    with open(folder + "/tokens.txt", "w", encoding="ascii") as file:
        file.write("\n".join(map(str, TOKENS)))
    subprocess.run([PERFORMER, "eval", base, "--lora", adapter, "--tokens", folder + "/tokens.txt",
                    "--logits", folder + "/logits.f32", "-q"], check=True, capture_output=True)
    logits = numpy.fromfile(folder + "/logits.f32", "<f4").reshape(expected.shape)
    return abs(logits - expected).max()


def main():
    missing = [p for p in ("torch", "transformers", "peft") if not importlib.util.find_spec(p)]
    warnings.simplefilter("ignore")
    failed = False
    for number, (what, *case) in enumerate(CASES, 1):
        if missing:
            print(f"ok {number} - {what} # SKIP the Python package {missing[0]} is not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            difference = compare(*case, folder)
        good = difference < 1e-4
        failed |= not good
        print(f"{'' if good else 'not '}ok {number} - {what}: within {difference:.1e} of PEFT")
    print(f"1..{len(CASES)}")
    return failed


sys.exit(main())
