#!/usr/bin/env python3
"""tests/make_pth_fixtures.py - writes tests/fixtures/pth/: PyTorch files made without PyTorch.

A torch.save file is a zip archive, stored, of a pickle and the bytes of its storages. Stand-ins
for torch's classes under torch's names make Python's own pickle write what torch.save writes; the
logits beside the models are from a float64 forward in numpy, with nothing of the engine. Numbers
are drawn from fixed seeds, so that the files come out the same.
"""

import collections, io, json, math, os, pickle, struct, sys, types, zipfile

import numpy as np

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "pth")

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
TYPES = {
    "Float": "<f4",
    "Half": "<f2",
    "BFloat16": "<u2",
    "Double": "<f8",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "u1",
}
for name in TYPES:
    cls = type(name + "Storage", (), {"__module__": "torch"})
    cls.__qualname__ = cls.__name__
    setattr(torch, cls.__name__, cls)


def _rebuild_tensor_v2():
    pass


def _rebuild_parameter():
    pass


for function in (_rebuild_tensor_v2, _rebuild_parameter):
    function.__module__ = "torch._utils"
    setattr(utils, function.__name__, function)


class Storage:
    def __init__(self, kind, values):
        self.kind, self.bytes = kind, np.asarray(values).astype(TYPES[kind]).tobytes()
        self.count = len(self.bytes) // np.dtype(TYPES[kind]).itemsize


class Tensor:
    """A view of a storage; strides in elements. parameter: wrapped as torch.nn.Parameter is."""

    def __init__(self, storage, shape, strides=None, offset=0, parameter=False):
        if strides is None:
            strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
        self.storage, self.shape, self.strides = storage, tuple(shape), tuple(strides)
        self.offset, self.parameter = offset, parameter

    def __reduce__(self):
        arguments = (
            self.storage,
            self.offset,
            self.shape,
            self.strides,
            False,
            collections.OrderedDict(),
        )
        if self.parameter:
            plain = Tensor(self.storage, self.shape, self.strides, self.offset)
            return _rebuild_parameter, (plain, True, collections.OrderedDict())
        return _rebuild_tensor_v2, arguments


def tensor(array, **more):
    array = np.asarray(array)
    return Tensor(Storage("Float", array.ravel()), array.shape, **more)


def save(name, root, protocol=2, method=zipfile.ZIP_STORED, folder="archive", patch=None, extra=()):
    """patch(records) may change what is stored before it is."""
    keys, records = {}, {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            key = keys.setdefault(id(value), str(len(keys)))
            records["data/" + key] = value.bytes
            return "storage", getattr(torch, value.kind + "Storage"), key, "cpu", value.count

    stream = io.BytesIO()
    Pickler(stream, protocol).dump(root)
    records = {"data.pkl": stream.getvalue(), "byteorder": b"little", **records, "version": b"3\n"}
    for record, value in extra:
        records[record] = value
    if patch:
        patch(records)
    with zipfile.ZipFile(os.path.join(OUT, name), "w", method) as archive:
        for record, value in records.items():
            info = zipfile.ZipInfo(f"{folder}/{record}", (2026, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, value)


# ---- formats ----


def views():
    """All types, strides, sharing, and values of every kind."""
    base = Storage("Float", np.arange(24))
    root = collections.OrderedDict(
        whole=Tensor(base, (4, 6)),
        transposed=Tensor(base, (6, 4), (1, 6)),
        column=Tensor(base, (4,), (6,), offset=2, parameter=True),
        part=Tensor(base, (2, 3), (6, 1), offset=7),
        cube=Tensor(base, (2, 3, 4), (12, 1, 3)),
        scalar=Tensor(Storage("Long", [7]), ()),
        empty=Tensor(base, (0, 4)),
        f16=Tensor(Storage("Half", [0.5, -2, 65504]), (3,)),
        bf16=Tensor(Storage("BFloat16", [0x3F80, 0xC000, 0x7F7F]), (3,)),
        f64=Tensor(Storage("Double", [0.1, -1e300, 3]), (3,)),
        i64=Tensor(Storage("Long", [-1, 2**40, 3]), (3,)),
        u8=Tensor(Storage("Byte", [0, 200, 255]), (3, 1)),
        truth=Tensor(Storage("Bool", [0, 1, 1]), (3,)),
    )
    root["args"] = {
        "n": 3,
        "big": 2**40,
        "negative": -5,
        "huge": 2**200,
        "x": 0.25,
        "on": True,
        "off": False,
        "none": None,
        "name": "caf\u00e9",
        "list": [1, (2, 3)],
        "deep": {"a": {"b": {"c": 1}}},
        7: "seven",
    }
    return root


def write_formats():
    for protocol in (2, 3, 4, 5):
        save(f"views-{protocol}.pt", views(), protocol)
    save("compressed.pt", {"w": tensor(np.zeros(1 << 20))}, method=zipfile.ZIP_DEFLATED)
    save("big-endian.pt", {"w": tensor([1.0])}, patch=lambda r: r.update(byteorder=b"big"))
    save(
        "script.pt", {"w": tensor([1.0])}, extra=[("code/__torch__.py", b"class M(Module): pass\n")]
    )
    save("missing-storage.pt", {"w": tensor([1.0])}, patch=lambda r: r.pop("data/0"))
    save(
        "short-storage.pt",
        {"w": tensor(np.arange(8.0))},
        patch=lambda r: r.update({"data/0": r["data/0"][:20]}),
    )
    save("expanded.pt", {"w": Tensor(Storage("Float", [1, 2]), (1 << 20, 1 << 20), (0, 0))})
    save("overflow.pt", {"w": Tensor(Storage("Float", [1, 2]), (1 << 62, 8), (1 << 62, 1 << 62))})

    class Evil:
        def __reduce__(self):
            return os.system, ("echo no",)

    save("evil.pt", {"w": tensor([1.0]), "x": Evil()})
    nested = []
    for _ in range(200):
        nested = [nested]
    save("nested.pt", {"w": tensor([1.0]), "x": nested})
    shared = [1]
    for _ in range(14):
        shared = [shared] * 8
    save("shared.pt", {"w": tensor([1.0]), "x": shared})
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    with open(os.path.join(OUT, "legacy.pt"), "wb") as file:
        file.write(magic + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2))


# ---- models ----


def layer_norm(x, weight, bias=None):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight
    return x if bias is None else x + bias


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax_attention(q, k, v):
    scores = q @ k.T / math.sqrt(q.shape[1])
    scores[np.triu_indices(len(q), 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def draw(random, *shape, scale=0.3):
    return (random.standard_normal(shape) * scale).astype(np.float32)


def write_model(name, root, ids, logits, **more):
    save(name + ".pt", root, **more)
    np.asarray(logits, "<f4").tofile(os.path.join(OUT, name + ".logits.f32"))
    with open(os.path.join(OUT, name + ".tokens.txt"), "w") as file:
        file.write("".join(f"{i}\n" for i in ids))


def nanogpt(bias):
    C, H, L, V, T, F = 12, 3, 2, 29, 10, 48
    random = np.random.default_rng(3)
    w = {"transformer.wte.weight": draw(random, V, C), "transformer.wpe.weight": draw(random, T, C)}

    def linear(name, rows, cols):
        w[name + ".weight"] = draw(random, rows, cols)
        if bias:
            w[name + ".bias"] = draw(random, rows)

    def norm(name):
        w[name + ".weight"] = 1 + draw(random, C)
        if bias:
            w[name + ".bias"] = draw(random, C)

    for i in range(L):
        h = f"transformer.h.{i}."
        norm(h + "ln_1"), linear(h + "attn.c_attn", 3 * C, C), linear(h + "attn.c_proj", C, C)
        norm(h + "ln_2"), linear(h + "mlp.c_fc", F, C), linear(h + "mlp.c_proj", C, F)
    norm("transformer.ln_f")

    ids = [int(i) for i in random.integers(0, V, T)]
    d = {name: value.astype(np.float64) for name, value in w.items()}
    apply = lambda name, x: x @ d[name + ".weight"].T + d.get(name + ".bias", 0)
    ln = lambda name, x: layer_norm(x, d[name + ".weight"], d.get(name + ".bias"))
    x = d["transformer.wte.weight"][ids] + d["transformer.wpe.weight"]
    for i in range(L):
        h, D = f"transformer.h.{i}.", C // H
        qkv = apply(h + "attn.c_attn", ln(h + "ln_1", x))
        heads = [
            softmax_attention(*(qkv[:, p * C + j * D : p * C + (j + 1) * D] for p in range(3)))
            for j in range(H)
        ]
        x = x + apply(h + "attn.c_proj", np.concatenate(heads, 1))
        x = x + apply(h + "mlp.c_proj", gelu(apply(h + "mlp.c_fc", ln(h + "ln_2", x))))
    logits = ln("transformer.ln_f", x) @ d["transformer.wte.weight"].T

    state = collections.OrderedDict(("_orig_mod." + n, tensor(v)) for n, v in w.items())
    state["_orig_mod.lm_head.weight"] = state["_orig_mod.transformer.wte.weight"]
    if bias:  # older versions register the causal mask
        state["_orig_mod.transformer.h.0.attn.bias"] = tensor(np.tril(np.ones((1, 1, T, T))))
    write_model(
        "nanogpt" + ("-bias" if bias else ""),
        {
            "model": state,
            "optimizer": {"state": {0: {"step": tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
            "model_args": {
                "n_layer": L,
                "n_head": H,
                "n_embd": C,
                "block_size": T,
                "bias": bias,
                "vocab_size": V,
                "dropout": 0.0,
            },
            "iter_num": 7,
            "config": {"dataset": "none"},
        },
        ids,
        logits,
    )


def llama2c():
    """Only names and keys; the arithmetic is that of llama2.c's .bin."""
    C, H, KV, L, V, F = 8, 4, 2, 2, 11, 16
    random = np.random.default_rng(5)
    shapes = {"tok_embeddings": (V, C), "norm": (C,)}
    for i in range(L):
        p = f"layers.{i}."
        shapes.update(
            {
                p + "attention.wq": (C, C),
                p + "attention.wk": (C // H * KV, C),
                p + "attention.wv": (C // H * KV, C),
                p + "attention.wo": (C, C),
                p + "feed_forward.w1": (F, C),
                p + "feed_forward.w2": (C, F),
                p + "feed_forward.w3": (F, C),
                p + "attention_norm": (C,),
                p + "ffn_norm": (C,),
            }
        )
    state = collections.OrderedDict(
        (f"_orig_mod.{n}.weight", tensor(draw(random, *s))) for n, s in shapes.items()
    )
    state["_orig_mod.output.weight"] = state["_orig_mod.tok_embeddings.weight"]
    state["_orig_mod.freqs_cos"] = tensor(np.zeros((16, 1)))
    state["_orig_mod.freqs_sin"] = tensor(np.zeros((16, 1)))
    save(
        "llama2c.pt",
        {
            "model": state,
            "model_args": {
                "dim": C,
                "n_layers": L,
                "n_heads": H,
                "n_kv_heads": KV,
                "vocab_size": V,
                "norm_eps": 1e-6,
                "multiple_of": 4,
                "max_seq_len": 16,
                "dropout": 0.0,
            },
        },
        protocol=4,
    )


def features(x, omega, top=None):
    """exp(w.x - |x|^2/2 - stabiliser) + 1e-4, without M^-1/2; top: of the keys so far."""
    x = x / x.shape[1] ** 0.25
    u = x @ omega.T
    return u.max(-1), lambda top: np.exp(u - (x * x).sum(-1, keepdims=True) / 2 - top) + 1e-4


def favor_attention(q, k, v, omega, look_ahead):
    M, out = len(omega), []
    q_top, q_of = features(q, omega)
    k_top, k_of = features(k, omega)
    phi_q = q_of(q_top[:, None])
    for t in range(len(q)):
        top = k_top.max() if look_ahead else k_top[: t + 1].max()
        phi_k = k_of(top)[: t + 1]
        den = phi_q[t] @ (phi_k.sum(0) + 1e-6 * math.sqrt(M))
        out.append(phi_q[t] @ phi_k.T @ v[: t + 1] / den)
    return np.array(out)


def performer():
    """A PerformerLM with learned positions and no rotary ones, tied, with biases of q, k and v."""
    C, H, D, L, V, T, F, M = 10, 2, 6, 2, 23, 9, 20, 8
    random = np.random.default_rng(7)
    w = {"token_emb.weight": draw(random, V, C, scale=1), "pos_emb.emb.weight": draw(random, T, C)}
    norm = lambda name: w.update(
        {name + ".weight": 1 + draw(random, C), name + ".bias": draw(random, C)}
    )

    def linear(name, rows, cols):
        w[name + ".weight"], w[name + ".bias"] = draw(random, rows, cols), draw(random, rows)

    for i in range(L):
        a, f = (f"performer.net.layers.{i}.{j}." for j in (0, 1))
        norm(a + "norm")
        w[a + "fn.fast_attention.projection_matrix"] = draw(random, M, D, scale=1)
        for name in "qkv":
            linear(a + f"fn.to_{name}", H * D, C)
        linear(a + "fn.to_out", C, H * D)
        norm(f + "norm"), linear(f + "fn.fn.w1", F, C), linear(f + "fn.fn.w2", C, F)
    norm("norm")

    ids = [int(i) for i in random.integers(0, V, T)]
    d = {name: value.astype(np.float64) for name, value in w.items()}
    apply = lambda name, x: x @ d[name + ".weight"].T + d[name + ".bias"]
    ln = lambda name, x: layer_norm(x, d[name + ".weight"], d[name + ".bias"])

    def forward(look_ahead):
        x = d["token_emb.weight"][ids] + d["pos_emb.emb.weight"]
        for i in range(L):
            a, f = (f"performer.net.layers.{i}.{j}." for j in (0, 1))
            y = ln(a + "norm", x)
            q, k, v = (apply(a + f"fn.to_{name}", y) for name in "qkv")
            omega = d[a + "fn.fast_attention.projection_matrix"]
            heads = [
                favor_attention(
                    *(part[:, h * D : (h + 1) * D] for part in (q, k, v)), omega, look_ahead
                )
                for h in range(H)
            ]
            x = x + apply(a + "fn.to_out", np.concatenate(heads, 1))
            x = x + apply(f + "fn.fn.w2", gelu(apply(f + "fn.fn.w1", ln(f + "norm", x))))
        return ln("norm", x) @ d["token_emb.weight"].T

    state = collections.OrderedDict(("module.net." + n, tensor(v)) for n, v in w.items())
    for name in list(state):
        if "layers" in name:
            state[name.replace("performer.net", "performer.proj_updater.instance")] = state[name]
    state["module.net.performer.proj_updater.calls_since_last_redraw"] = Tensor(
        Storage("Long", [5]), ()
    )
    write_model("performer", state, ids, forward(False))
    np.asarray(forward(True), "<f4").tofile(os.path.join(OUT, "performer.text.logits.f32"))
    with open(os.path.join(OUT, "performer.json"), "w") as file:
        json.dump(
            {"causal": True, "heads": H, "dim_head": D, "nb_features": M, "tie_embed": True}, file
        )
        file.write("\n")


os.makedirs(OUT, exist_ok=True)
write_formats()
nanogpt(False)
nanogpt(True)
llama2c()
performer()
