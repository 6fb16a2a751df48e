#!/usr/bin/env python3
"""Compares --lora with llama.cpp's, from the PyPI package xllamacpp; speaks TAP.

    PERFORMER=./performer python3 tests/compare_llama_lora.py

Skipped if xllamacpp or numpy is not installed. llama.cpp keeps keys and values as F16, so the 20
largest log-probabilities must agree within 0.03; the adapter moves them by more than 1.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile

PERFORMER = os.environ.get("PERFORMER", "./performer")
TOKENS = [1, 40, 77, 123, 300, 9, 12]
ADAPTER = "tests/fixtures/lora/llama.gguf"


def theirs(model, adapter):
    """{id: log-probability} of what may follow TOKENS."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx, params.n_gpu_layers, params.cpuparams.n_threads = 64, 0, 1
    if adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(adapter, 1.0)]
    said = xllamacpp.Server(params).handle_completions(
        {"prompt": TOKENS, "n_predict": 1, "n_probs": 20, "temperature": 0})
    top = said["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return {one["id"]: one["logprob"] for one in top}


def ours(model, adapter, folder):
    import numpy

    with open(folder + "/tokens.txt", "w", encoding="ascii") as file:
        file.write("\n".join(map(str, TOKENS)))
    subprocess.run(
        [PERFORMER, "eval", model, "--tokens", folder + "/tokens.txt", "--logits",
         folder + "/logits.f32", "-q"] + (["--lora", adapter] if adapter else []),
        check=True, capture_output=True)
    logits = numpy.fromfile(folder + "/logits.f32", "<f4").reshape(len(TOKENS), -1)[-1]
    logits = logits.astype(float) - logits.max()
    return logits - numpy.log(numpy.exp(logits).sum())


def check(folder):
    model = folder + "/base.gguf"
    subprocess.run([PERFORMER, "convert", "tests/fixtures/hf/llama", "--type", "f32", "-o", model,
                    "-q"], check=True)
    found = {}
    for adapter in (None, ADAPTER):
        mine, other = ours(model, adapter, folder), theirs(model, adapter)
        found[adapter] = max(abs(mine[i] - p) for i, p in other.items())
    moved = abs(ours(model, ADAPTER, folder) - ours(model, None, folder)).max()
    return max(found.values()) < 0.03 and moved > 1, found[None], found[ADAPTER], moved


def main():
    what = "1 - llama.cpp with the same adapter"
    missing = [p for p in ("xllamacpp", "numpy") if not importlib.util.find_spec(p)]
    good = True
    if missing:
        print(f"ok {what} # SKIP the Python package {missing[0]} is not installed")
    else:
        with tempfile.TemporaryDirectory() as folder:
            good, base, adapted, moved = check(folder)
        print(f"{'' if good else 'not '}ok {what}: within {adapted:.3f}, without an adapter within "
              f"{base:.3f}; it moves log-probabilities by {moved:.1f}")
    print("1..1")
    return not good


sys.exit(main())
