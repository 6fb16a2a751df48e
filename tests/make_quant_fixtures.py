#!/usr/bin/env python3
"""Makes tests/fixtures/quant: blocks and their values where the project's data has none.

For Q5_1, Q5_K, Q3_K, IQ4_NL and IQ4_XS: random blocks with finite scales (zero, negative and
subnormal ones too) and what gguf-py (pip install gguf numpy) makes of them. For Q8_0 and Q4_0:
values and the blocks that gguf-py quantises them to.
Run from the repository's root; the result is committed.
"""

import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

OUT = pathlib.Path("tests/fixtures/quant")
# Offsets of the fp16 numbers in a block.
HALVES = {"q5_1": [0, 2], "q5_k": [0, 2], "q3_k": [108], "iq4_nl": [0], "iq4_xs": [0]}


def random_blocks(rng, name, count):
    size = gguf.GGML_QUANT_SIZES[Type[name.upper()]][1]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for offset in HALVES[name]:
        scales = rng.normal(0, 0.1, count).astype(np.float16)
        scales[:3] = [0, 6e-8, -2e-5]
        blocks[:, offset : offset + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def main():
    rng = np.random.default_rng(5)
    OUT.mkdir(parents=True, exist_ok=True)
    later = np.random.default_rng(6)  # types that came later: the others' fixtures stay as they are
    for name in HALVES:
        blocks = random_blocks(later if name.startswith("iq4") else rng, name, 16)
        values = gguf.quants.dequantize(blocks, Type[name.upper()])
        blocks.tofile(OUT / f"{name}.blocks")
        values.astype("<f4").tofile(OUT / f"{name}.f32")
    values = rng.normal(0, 1, (24, 32)).astype("<f4")
    values[0] = 0
    values[1] = np.arange(32) - 16  # ties
    values[2] *= 1e-7  # a scale that fp16 cannot hold
    values[3] *= 1e4
    values.tofile(OUT / "values.f32")
    for name in ["q8_0", "q4_0"]:
        gguf.quants.quantize(values, Type[name.upper()]).tofile(OUT / f"values.{name}")


main()
