#!/usr/bin/env python3
"""Compares --lora with Hugging Face's PEFT on random models, the folders of tests/fixtures
and random adapters; speaks TAP.

    PERFORMER=./performer python3 tests/compare_peft.py

Skipped if torch, transformers or peft is not installed. The logits must agree within 1e-4.
"""

import glob
import importlib.util
import os
import subprocess
import sys
import tempfile
import warnings

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "CUDA_VISIBLE_DEVICES": ""}
PERFORMER = os.environ.get("PERFORMER", "./performer")
TOKENS = [3, 9, 27, 31, 14, 11, 2, 17]
SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 96,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}
# what, the family's name in transformers, the model's and the adapter's settings
CASES = [
    ("llama, ranks and alphas of their own", "Llama", SIZES,
     {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "alpha_pattern": {"q_proj": 3},
      "rank_pattern": {"layers.1.mlp.up_proj": 2}}),
    ("llama, embedding and output, rank-stabilised", "Llama", SIZES,
     {"r": 4, "lora_alpha": 8, "use_rslora": True,
      "target_modules": ["q_proj", "k_proj", "embed_tokens", "lm_head"]}),
    ("qwen2, a tied model", "Qwen2", SIZES | {"tie_word_embeddings": True},
     {"r": 2, "lora_alpha": 8, "target_modules": ["v_proj", "down_proj"]}),
]
FOLDERS = sorted(glob.glob("tests/fixtures/hf*/*/"))  # every matrix of every family


def random_model(family, sizes):
    import transformers

    config = getattr(transformers, family + "Config")(**sizes)
    return getattr(transformers, family + "ForCausalLM")(config).float().eval()


def fixture(folder):
    import torch
    import transformers

    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()


def difference(model, settings, folder):
    """The largest one between our logits and PEFT's for a random adapter."""
    import numpy
    import peft
    import torch

    base, adapter = folder + "/base", folder + "/adapter"
    model.save_pretrained(base)
    adapted = peft.get_peft_model(model, peft.LoraConfig(**settings)).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    adapted.save_pretrained(adapter)
    with torch.no_grad():
        expected = adapted(torch.tensor([TOKENS])).logits[0].numpy()
    with open(folder + "/tokens.txt", "w", encoding="ascii") as file:
        file.write("\n".join(map(str, TOKENS)))
    subprocess.run([PERFORMER, "eval", base, "--lora", adapter, "--tokens", folder + "/tokens.txt",
                    "--logits", folder + "/logits.f32", "-q"], check=True, capture_output=True)
    logits = numpy.fromfile(folder + "/logits.f32", "<f4").reshape(expected.shape)
    return abs(logits - expected).max()


def check(number, what, model, settings):
    import torch

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = difference(model(), settings, folder)
            said = f"within {found:.1e} of PEFT"
        except subprocess.CalledProcessError as failure:
            found, said = 1, failure.stderr.decode().strip()
    good = found < 1e-4
    print(f"{'' if good else 'not '}ok {number} - {what}: {said}", flush=True)
    return good


def main():
    warnings.simplefilter("ignore")
    cases = [(what, lambda c=case: random_model(*c[:2]), case[2]) for what, *case in CASES]
    cases += [(folder, lambda f=folder: fixture(f),
               {"r": 3, "lora_alpha": 6, "target_modules": "all-linear"}) for folder in FOLDERS]
    missing = [p for p in ("torch", "transformers", "peft") if not importlib.util.find_spec(p)]
    good = True
    for number, (what, model, settings) in enumerate(cases, 1):
        if missing:
            print(f"ok {number} - {what} # SKIP the Python package {missing[0]} is not installed")
        else:
            good &= check(number, what, model, settings)
    print(f"1..{len(cases)}")
    return not good


sys.exit(main())
