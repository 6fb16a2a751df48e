#!/usr/bin/env python3
"""Writes the hostile inputs that tests/test_fuzz.c replays, a few for each fuzz target.

    python3 tests/make_fuzz_inputs.py [tests/fuzz/inputs]

Each file is TARGET/WHAT-IS-WRONG, crafted by hand: counts, lengths and offsets that overflow or
point outside the file, divisors of zero, structures nested without end. What a fuzzer finds goes
beside them (scripts/fuzz). Needs only python3.
"""

import json
import os
import struct
import sys

BIG = 2**64 - 1


def string(text, length=None):
    data = text.encode()
    return struct.pack("<Q", len(data) if length is None else length) + data


def gguf(keys=b"", n_keys=0, tensors=b"", n_tensors=0):
    head = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_keys) + keys + tensors
    return head + bytes(-len(head) % 32)


def tensor(name, shape, kind=0, offset=0):
    return (
        string(name)
        + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        + struct.pack("<IQ", kind, offset)
    )


def array_in_array(depth):
    return string("a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * depth


def safetensors(header):
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def llama2c(width=4, hidden=4, layers=1, heads=1, kv_heads=1, vocabulary=4, context=4, version=1):
    """Version 1 has a magic number, so that its reader meets every damaged header."""
    head = struct.pack(
        "<Ii7iB",
        0x616B3432,
        version,
        width,
        hidden,
        layers,
        heads,
        kv_heads,
        vocabulary,
        context,
        1,
    )
    return head.ljust(256, b"\0") + bytes(64)


def storage(key=b"X\x01\0\0\x000", count=b"M\0\x01"):
    return b"(X\x07\0\0\0storagectorch\nFloatStorage\n" + key + b"X\x03\0\0\0cpu" + count + b"tQ"


def rebuilt(offset=b"K\0", shape=b"K\x02K\x03\x86", stride=b"K\x03K\x01\x86"):
    """The pickle of {"a": a tensor}: torch._utils._rebuild_tensor_v2 of a storage."""
    return (
        b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n("
        + storage()
        + offset
        + shape
        + stride
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )


def llama2c_piece(text, length=None, score=0.0):
    return struct.pack("<fi", score, len(text) if length is None else length) + text


def hf(config, weights, *others):
    return b"\0".join(
        p if isinstance(p, bytes) else json.dumps(p).encode() for p in (config, weights) + others
    )


def tokenizer(**model):
    return json.dumps(
        {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [], **model}}
    ).encode()


def snapshot(kind, **words):
    """A head of PFSTATE with 32-bit words from byte 32 on; the target mends size and checksum."""
    fields = [kind] + [0] * 60
    for name, value in words.items():
        fields[int(name[1:])] = value
    return b"PFSTATE\n" + struct.pack("<I20x", 1) + struct.pack("<61I", *fields)


CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 8,
    "max_position_embeddings": 16,
    "rms_norm_eps": 1e-5,
}

def adapter(tensors, alpha=1.0):
    """An adapter for tests/fixtures/hf/llama: (name, shape) of F32 tensors, one after the other."""
    keys = b"".join(string(key) + struct.pack("<I", 8) + string(value) for key, value in (
        ("general.type", "adapter"), ("general.architecture", "llama"), ("adapter.type", "lora")))
    keys += string("adapter.lora.alpha") + struct.pack("<If", 6, alpha)
    table, offset = b"", 0
    for name, shape in tensors:
        table += tensor(name, shape, 0, offset)
        size = 4
        for n in shape:
            size *= n
        offset += size + -size % 32
    return gguf(keys, 4, table, len(tensors))


def peft(header, **config):
    config = {"peft_type": "LORA", "lora_alpha": 1} | config
    return json.dumps(config).encode() + b"\0" + json.dumps(header).encode()


INPUTS = {
    "jinja": {
        "brackets": b"{{ " + b"(" * 5000,
        "nots": b"{{ " + b"not " * 5000 + b"1 }}",
        "minuses": b"{{ " + b"-" * 5000 + b"1 }}",
        "elifs": b"{% if 0 %}" + b"{% elif 0 %}" * 3000 + b"{% endif %}",
        "sum-of-5000": b"{{ " + b"1 + " * 5000 + b"1 }}",
        "attributes": b"{% set x = {} %}{{ x" + b".a" * 5000 + b" }}",
        "filters": b"{{ 1" + b"|string" * 5000 + b" }}",
        "macro-in-itself": b"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "doubling": b"{% set ns = namespace(s='ab') %}{% for i in range(64) %}"
        b"{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "loops-in-loops": b"{% for i in range(99999) %}" * 8 + b"x" + b"{% endfor %}" * 8,
        "list-in-itself": b"{% set ns = namespace(s=[]) %}{% for i in range(2000) %}"
        b"{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}{{ ns.s|tojson }}{{ ns.s == [ns.s] }}",
        "namespace-in-itself": b"{% set a = namespace() %}{% set a.a = a %}{{ a }}{{ a == a }}",
        "maps-in-maps": b"{% set ns = namespace(s=[]) %}{% for i in range(2000) %}"
        b"{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s|map(*(['map'] * 1999 + ['list'])) }}",
        "least-integer": b"{{ -9223372036854775807 - 1 }}{{ (-9223372036854775807 - 1) // -1 }}"
        b"{{ (-9223372036854775807 - 1) % -1 }}{{ (-9223372036854775807 - 1)|abs }}"
        b"{{ -(-9223372036854775807 - 1) }}{{ 'abc'[-9223372036854775807:9223372036854775807:"
        b"9223372036854775807] }}{{ range(9223372036854775807) }}",
        "wide": b"{{ 'a'.center(9223372036854775807) }}",
        "wider": b"{{ 'a' * 9223372036854775807 }}",
        "indent": b"{{ 'a\n' * 9999|indent(9999) }}",
        "no-end": b"{% raw %}{{",
        "cut-escape": b"{{ '\\",
        "half-a-character": b"{{ '\xe6\x97'[::-1] | title | tojson }}",
        "time-without-end": b"{{ strftime_now('%c' * 100) }}",
    },
    "gguf": {
        "tensors-without-end": gguf(n_tensors=2**63),
        "key-longer-than-the-file": gguf(string("general.architecture", BIG), 1),
        "arrays-in-arrays": gguf(array_in_array(300), 1),
        "array-of-2-to-the-61": gguf(string("a") + struct.pack("<IIQ", 9, 12, 2**61), 1),
        "shape-that-overflows": gguf(tensors=tensor("t", [2**32, 2**32, 2]), n_tensors=1),
        "offset-beyond-the-end": gguf(tensors=tensor("t", [32], 0, BIG - 31), n_tensors=1),
        "alignment-of-0": gguf(
            string("general.alignment") + struct.pack("<II", 4, 0), 1, tensor("t", [32]), 1
        ),
    },
    "llama2c": {
        "no-heads": llama2c(heads=0),
        "negative-width": llama2c(width=-4),
        "layers-without-end": llama2c(layers=2**31 - 1),
        "sizes-that-overflow": llama2c(width=2**30, hidden=2**30, heads=2**15, vocabulary=2**30),
        "vocabulary-of-least-int": llama2c(vocabulary=-(2**31)),
        "more-kv-heads-than-heads": llama2c(heads=2, kv_heads=3),
        "version-2": llama2c(version=2),
        "weights-cut-off": llama2c()[:300],
        "old-header-without-heads": struct.pack("<7i", 4, 4, 1, 0, 1, 4, 4) + bytes(64),
    },
    "safetensors": {
        "header-longer-than-the-file": struct.pack("<Q", BIG - 7) + b"{}",
        "end-before-begin": safetensors({"t": entry([4], 16, 0)}) + bytes(16),
        "shape-that-overflows": safetensors({"t": entry([2**40, 2**40], 0, 16)}) + bytes(16),
        "negative-shape": safetensors({"t": entry([-1, -4], 0, 16)}) + bytes(16),
        "header-of-brackets": safetensors(b"[" * 3000),
        "offset-that-is-a-float": safetensors({"t": entry([4], 0, 1e300)}) + bytes(16),
    },
    "hf": {
        "no-heads": hf({**CONFIG, "num_attention_heads": 0}, {}),
        "layers-without-end": hf({**CONFIG, "num_hidden_layers": 2**31}, {}),
        "config-that-is-a-list": hf([CONFIG], {}),
        "shard-outside-the-folder": hf(
            CONFIG, {}, b"", b"", {"weight_map": {"a": "../../etc/passwd"}}
        ),
        "shape-unlike-the-config": hf(CONFIG, {"model.embed_tokens.weight": entry([8, 9], 0, 288)}),
    },
    "pickle": {
        "stop-on-an-empty-stack": b"\x80\x02.",
        "string-longer-than-the-file": b"\x80\x04\x8d" + struct.pack("<Q", BIG) + b"a.",
        "memo-at-4-billion": b"\x80\x02Nr\xff\xff\xff\xff.",
        "get-without-put": b"\x80\x02h\x07.",
        "tuples-in-tuples": b"\x80\x02N" + b"\x85" * 5000 + b".",
        "append-to-none": b"\x80\x02N(K\x01e.",
        "list-in-itself": b"\x80\x02]q\0h\0a.",
        "marks-only": b"\x80\x02" + b"(" * 5000,
        "call-of-the-system": b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.",
    },
    "pth": {
        "offset-beyond-the-storage": rebuilt(offset=b"J\xff\xff\xff\x7f"),
        "negative-stride": rebuilt(stride=b"J\xff\xff\xff\xffK\x01\x86"),
        "stride-beyond-the-storage": rebuilt(stride=b"J\xff\xff\xff\x7fK\x01\x86"),
        "shape-that-overflows": rebuilt(
            shape=b"\x8a\x08" + struct.pack("<q", 2**62) + b"K\x08\x86"
        ),
        "shape-of-none": rebuilt(shape=b"N"),
    },
    "tokenizer_bin": {
        "negative-length": struct.pack("<i", 4) + llama2c_piece(b"abc", -1) + b"\x02",
        "length-beyond-the-end": struct.pack("<i", 4) + llama2c_piece(b"abc", 2**31 - 1) + b"\x01",
        "pieces-of-nothing": struct.pack("<i", 0) + llama2c_piece(b"") * 9 + b"\x09",
        "score-that-is-no-number": struct.pack("<i", 1)
        + b"".join(llama2c_piece(p, score=float("nan")) for p in (b"a", b"b", b"ab"))
        + b"\x03",
    },
    "tokenizer_model": {
        "number-without-end": b"\x0a" + b"\xff" * 20,
        "piece-beyond-the-end": b"\x0a\x7f\x0a\x05<unk>",
        "field-of-unknown-kind": b"\x0e\x01",
        "groups-in-groups": b"\x0b" * 3000,
        "no-pieces": b"\x12\x02\x18\x02",
    },
    "tokenizer_json": {
        "brackets": b'{"model":' + b"[" * 3000,
        "id-of-18-digits": tokenizer(vocab={"a": 10**18}),
        "negative-id": tokenizer(vocab={"a": -1}),
        "one-id-twice": tokenizer(vocab={"a": 0, "b": 0}),
        "merge-of-unknown-pieces": tokenizer(merges=["x y"]),
        "merge-into-nothing": tokenizer(merges=[["a", "b"]]),
        "pattern-that-backtracks": json.dumps(
            {
                "pre_tokenizer": {
                    "type": "Split",
                    "pattern": {"Regex": "(a+)+[bc]"},
                    "behavior": "Isolated",
                },
                "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
            }
        ).encode(),
    },
    "lora": {
        "rank-of-0": adapter([("output.weight.lora_a", [24, 0]), ("output.weight.lora_b", [0, 9])]),
        "ranks-that-differ": adapter(
            [("output.weight.lora_a", [24, 2]), ("output.weight.lora_b", [3, 512])]),
        "another-shape": adapter(
            [("output.weight.lora_a", [3000, 1]), ("output.weight.lora_b", [1, 3000])]),
        "vectors": adapter([("output.weight.lora_a", [24]), ("output.weight.lora_b", [512])]),
        "cubes": adapter(
            [("output.weight.lora_a", [24, 1, 2]), ("output.weight.lora_b", [1, 512])]),
        "alpha-not-a-number": adapter(
            [("output.weight.lora_a", [24, 1]), ("output.weight.lora_b", [1, 512])], float("nan")),
        "half-a-pair": adapter([("output.weight.lora_b", [1, 512])]),
        "no-matrix": adapter([(".lora_a", [24, 1]), (".lora_b", [1, 512])]),
        "no-module": peft({"lora_A": entry([1, 1], 0, 4), ".lora_A.weight": entry([1, 1], 4, 8)}),
        "a-module-without-a-name": peft(
            {".lora_A": entry([1, 1], 0, 4), ".lora_B": entry([1, 1], 4, 8)}),
        "alphas-of-all-kinds": peft(
            {"lm_head.lora_A.w": entry([1, 24], 0, 96),
             "lm_head.lora_B.w": entry([512, 1], 96, 2144)},
            alpha_pattern={"lm_head": "x", "": None, "head": []}),
    },
    "snapshot": {
        "head-alone": b"PFSTATE\n" + bytes(24),
        "tokens-without-end": snapshot(0, w1=BIG % 2**32, w2=BIG % 2**32),
        "all-ones": b"PFSTATE\n" + struct.pack("<I", 1) + b"\xff" * 244,
        "kind-of-favor-without-features": snapshot(2),
        "features-without-end": snapshot(2, w1=2**31),
    },
    "prompt": {
        "bytes-that-are-not-utf8": b"\x00\x02" + bytes(range(128, 256)) * 2,
        "spaces": b"\x01\x0c" + b" " * 700,
        "characters-cut-short": b"\x02\x00" + b"\xe2\x96 \xf0\x9f\x98 \xc3 " * 20,
        "special-tokens-in-pieces": b"\x03\x1f<s></s><s<unk>><|endoftext|" * 5,
        "nul": b"\x00\x01" + b"\0" * 100,
    },
}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/fuzz/inputs"
    for target, inputs in INPUTS.items():
        os.makedirs(os.path.join(folder, target), exist_ok=True)
        for name, data in inputs.items():
            with open(os.path.join(folder, target, name), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
