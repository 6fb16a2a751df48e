#!/usr/bin/env python3
"""How fast performer-pytorch and performer read a prompt: the same model, in turn, on this
machine.

    python3 -m pip install torch performer-pytorch pytorch-fast-transformers
    python3 tests/bench_performer_pytorch.py [FOLDER]

Makes a PerformerLM of 39M random parameters (dim 512, 12 layers, 8 heads, MLP 2048, 256 features)
in FOLDER (a temporary one), converts it, checks that both give the same logits, and prints
tokens/s for prompts of 512, 4,096 and 16,384 tokens: performer in F32 and Q8_0, performer-pytorch
with the C++ kernel of pytorch-fast-transformers (of that package, the part causal_product is
enough), and as it comes for CPUs, which takes minutes and is left out at 16,384. Medians of five
rounds, without the product with the vocabulary.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy
import torch
from performer_pytorch import PerformerLM
from performer_pytorch.performer_pytorch import FastAttention, causal_linear_attention

PERFORMER = os.environ.get("PERFORMER", "./performer")
LENGTHS, ROUNDS, CHECKED, VOCABULARY = [512, 4096, 16384], 5, 64, 1024
PLAIN_UP_TO = 4096


def run(*arguments):
    return subprocess.run([PERFORMER, *arguments], check=True, stdout=subprocess.PIPE).stdout


def make(folder):
    torch.manual_seed(0)
    model = PerformerLM(
        num_tokens=VOCABULARY,
        max_seq_len=max(LENGTHS) + 1024,
        dim=512,
        depth=12,
        heads=8,
        causal=True,
        nb_features=256,
        feature_redraw_interval=10**9,
        auto_check_redraw=False,
    ).eval()
    path = os.path.join(folder, "performer")
    torch.save(model.state_dict(), path + ".pt")
    with open(path + ".json", "w") as file:
        json.dump({"causal": True, "heads": 8}, file)
    for kind in "f32", "q8_0":
        run(
            "convert",
            path + ".pt",
            "--config",
            path + ".json",
            "--type",
            kind,
            "-o",
            f"{path}-{kind}.gguf",
            "-q",
        )
    return model, path


def same_logits(model, path, folder):
    """The largest difference, beside the largest logit."""
    ids = torch.arange(CHECKED) * 7 % VOCABULARY
    with open(os.path.join(folder, "tokens.txt"), "w") as file:
        file.write(" ".join(map(str, ids.tolist())))
    logits = os.path.join(folder, "logits.f32")
    run(
        "eval",
        path + "-f32.gguf",
        "--tokens",
        file.name,
        "--logits",
        logits,
        "--stabilizer",
        "text",
        "-q",
    )
    ours = numpy.fromfile(logits, dtype=numpy.float32).reshape(-1, VOCABULARY)
    theirs = model(ids[None])[0].numpy()[: len(ours)]
    return numpy.abs(ours - theirs).max(), numpy.abs(theirs).max()


def ours(path, length):
    report = json.loads(
        run(
            "bench",
            path,
            "--context",
            str(length),
            "--attention",
            "favor",
            "--repeat",
            "1",
            "--json",
            "-q",
        )
    )
    return next(r["tokens_per_second"] for r in report["results"] if r["test"] == "prefill")


def theirs(model, length, kernel):
    for part in model.modules():
        if isinstance(part, FastAttention):
            part.causal_linear_fn = kernel
    ids = torch.randint(0, VOCABULARY, (1, length))
    start = time.perf_counter()
    model(ids, return_encodings=True)
    return length / (time.perf_counter() - start)


def main(folder):
    model, path = make(folder)
    plain = next(
        part.causal_linear_fn for part in model.modules() if isinstance(part, FastAttention)
    )
    print(
        "%d parameters, %d threads; logits differ by %.1e of %.1f"
        % (
            sum(p.numel() for p in model.parameters()),
            torch.get_num_threads(),
            *same_logits(model, path, folder),
        )
    )
    ways = {
        "performer F32": lambda n: ours(path + "-f32.gguf", n),
        "performer Q8_0": lambda n: ours(path + "-q8_0.gguf", n),
        "with its C++ kernel": lambda n: theirs(model, n, causal_linear_attention),
        "performer-pytorch": lambda n: theirs(model, n, plain),
    }
    for length in LENGTHS:
        if length > PLAIN_UP_TO:
            ways.pop("performer-pytorch", None)
        rates = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, measure in ways.items():
                rates[name].append(measure(length))
        for name in ways:
            print(
                "%6d tokens  %-20s %8.1f tokens/s" % (length, name, statistics.median(rates[name])),
                flush=True,
            )


if __name__ == "__main__":
    with torch.no_grad(), tempfile.TemporaryDirectory() as temporary:
        main(sys.argv[1] if len(sys.argv) > 1 else temporary)
