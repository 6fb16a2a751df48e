#!/usr/bin/env python3
"""Compares performer with Hugging Face's own packages on tests/fixtures/hf; speaks TAP.

    PERFORMER=./performer python3 tests/compare_hf.py

Cases whose package (safetensors, transformers, torch) is not installed are skipped.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "CUDA_VISIBLE_DEVICES": ""}
PERFORMER = os.environ.get("PERFORMER", "./performer")
FIXTURES = "tests/fixtures/hf/"
NAMES = ["llama", "qwen2", "qwen3", "gpt2"]
TEXTS = [
    "Once upon a time, there was a girl.",
    " two  spaces\n\nIt's 1234 e\u0301!",
    "a<|end|>b  <|mask|> c",
    "\u4f60\u597d \U0001f600",
    "don't WE'LL 3.14",
]
done = 0


def case(name, packages, check):
    global done
    done += 1
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    if missing:
        print(f"ok {done} - {name} # SKIP the Python package {missing[0]} is not installed")
        return
    try:
        problem = check()
    except Exception as failure:  # a case that breaks has failed
        problem = repr(failure)
    print(
        f"ok {done} - {name}"
        if not problem
        else f"not ok {done} - {name}\n# " + str(problem).replace("\n", "\n# ")
    )


def run(*arguments):
    return subprocess.run([PERFORMER, *arguments], check=True, capture_output=True).stdout


def written_by_safetensors(name):
    """A folder that the package has read and written again converts to the same tensors."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    if name == "llama":
        return None  # BF16, which numpy has not
    with tempfile.TemporaryDirectory() as folder:
        tensors = {}
        for file in os.listdir(FIXTURES + name):
            if file.endswith(".safetensors"):
                with safe_open(FIXTURES + name + "/" + file, "np") as source:
                    tensors |= {key: source.get_tensor(key) for key in source.keys()}
            elif not file.endswith("index.json"):
                os.symlink(os.path.abspath(FIXTURES + name + "/" + file), f"{folder}/{file}")
        save_file(tensors, folder + "/model.safetensors", {"format": "pt"})
        import numpy as np

        run(
            "eval",
            folder,
            "--tokens",
            f"{FIXTURES}{name}.tokens.txt",
            "--logits",
            f"{folder}/logits",
        )
        a, b = (np.fromfile(p, "<f4") for p in (f"{folder}/logits", f"{FIXTURES}{name}.logits.f32"))
        worst = abs(a - b).max()
    return None if worst < 1e-4 else f"logits differ by {worst}"


def same_ids(name):
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # Takes tokenizer.json as it is; LlamaTokenizer of transformers 5 builds its own.
    kind = PreTrainedTokenizerFast if name == "llama" else AutoTokenizer
    tokenizer = kind.from_pretrained(FIXTURES + name)
    for text in TEXTS:
        have = [int(i) for i in run("tokenize", FIXTURES + name, "--ids", "-p", text).split()]
        want = tokenizer(text, add_special_tokens=False)["input_ids"]
        if have != want:
            return f"{text!r}\nhave {have}\nwant {want}"
    return None


def same_logits(name):
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(FIXTURES + name, torch_dtype=torch.float64)
    tokens = [int(line) for line in open(f"{FIXTURES}{name}.tokens.txt")]
    with torch.no_grad():
        want = model(torch.tensor([tokens])).logits[0].numpy()
    with tempfile.TemporaryDirectory() as folder:
        run(
            "eval",
            FIXTURES + name,
            "--tokens",
            f"{FIXTURES}{name}.tokens.txt",
            "--logits",
            folder + "/logits",
        )
        have = np.fromfile(folder + "/logits", "<f4").reshape(want.shape)
    worst = np.abs(have - want).max()
    return None if worst < 1e-3 else f"logits differ by {worst}"


for n in NAMES:
    case(
        f"{n}: weights written by safetensors",
        ["safetensors", "numpy"],
        lambda: written_by_safetensors(n),
    )
for n in NAMES:
    case(f"{n}: ids of transformers", ["transformers"], lambda: same_ids(n))
for n in NAMES:
    case(f"{n}: logits of transformers", ["transformers", "torch"], lambda: same_logits(n))
print(f"1..{done}")
sys.stdout.flush()
