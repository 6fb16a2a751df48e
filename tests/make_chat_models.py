#!/usr/bin/env python3
"""Writes tiny models that carry chat templates, and the texts that these templates make.

    python3 tests/make_chat_models.py FOLDER

NAME.gguf, one for each form of template, is a model that knows only which token follows which (its
attention and MLP are zero, its width is its vocabulary): after a text that ends as its template
does, it answers "Hey!", ends its turn, and then babbles. NAME.first, .second and .system hold what
it must have read when it answers: the first message; a second one after its answer; the first one
after a system prompt. NAME.answer is what it then writes. All of this is written by hand here.
Where jinja2 is installed, it renders the template in the file as transformers would, and
NAME.oracle holds "same" or what differs. larger.gguf is a ChatML model with 7 tokens more than its
tokenizer has; the template of broken.gguf cannot be read, that of refusing.gguf refuses a system
prompt, and that of never.gguf everything. Needs only python3.
"""

import os
import struct
import sys

SAID, SECOND, SYSTEM, ANSWER = "Hi there.", "And who\tare you?", "Be brief.", "Hey!"

# ---- the forms: by hand, and as Jinja ----------------------------------------------------------

MARKED = "{%% for m in messages %%}%s{%% endfor %%}{%% if add_generation_prompt %%}%s{%% endif %%}"


def marked(head, foot, start="", bos=""):
    """A form that names all roles alike. head: role -> text; start: the assistant's."""

    def write(turns):
        return (
            bos
            + "".join(head(role) + text + foot for role, text in turns)
            + (start or head("assistant"))
        )

    return write


def inst(bos, eos, system, around, after):
    """Llama 2 and Mistral: [INST] ... [/INST] answer; the system prompt inside of the first."""

    def write(turns):
        text, before = bos, ""
        for i, (role, said) in enumerate(turns):
            if role == "system":
                before = system % said
            elif role == "user":
                text += (around if text != bos else "") + "[INST] " + before + said + " [/INST]"
                before = ""
            else:
                text += " " + said + after + eos
        return text

    return write


def gemma(turns):
    text, before = "<bos>", ""
    for role, said in turns:
        if role == "system":
            before = said + "\n\n"
            continue
        text += (
            "<start_of_turn>"
            + {"assistant": "model"}.get(role, role)
            + "\n"
            + before
            + said
            + "<end_of_turn>\n"
        )
        before = ""
    return text + "<start_of_turn>model\n"


def roles(role):
    return f"<|{role}|>\n"


FORMS = {
    "chatml": dict(
        kind="gpt2",
        special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        bos=1,
        eos=2,
        stop="<|im_end|>",
        write=marked(lambda role: f"<|im_start|>{role}\n", "<|im_end|>\n"),
        jinja=MARKED
        % (
            "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}",
            "{{ '<|im_start|>assistant\\n' }}",
        ),
    ),
    "llama-2": dict(
        kind="llama",
        special=[],
        bos=1,
        eos=2,
        stop="</s>",
        write=inst("<s>", "</s>", "<<SYS>>\n%s\n<</SYS>>\n\n", "<s>", " "),
        jinja="{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
        "{% set before = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
        "{% else %}{% set rest = messages %}{% set before = '' %}{% endif %}{% for m in rest %}"
        "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' }}{{ before if loop.first else '' }}"
        "{{ m['content'].strip() + ' [/INST]' }}"
        "{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    ),
    "mistral": dict(
        kind="llama",
        special=[],
        bos=1,
        eos=2,
        stop="</s>",
        write=inst("<s>", "</s>", "%s\n\n", "", ""),
        jinja="{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
        "{% set before = messages[0]['content'] + '\\n\\n' %}{% else %}{% set rest = messages %}"
        "{% set before = '' %}{% endif %}{% for m in rest %}{% if m['role'] == 'user' %}"
        "{{ '[INST] ' }}{{ before if loop.first else '' }}{{ m['content'] + ' [/INST]' }}"
        "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
    ),
    "llama-3": dict(
        kind="gpt2",
        pre="llama-bpe",
        bos=0,
        eos=1,
        stop="<|eot_id|>",
        special=[
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ],
        write=marked(
            lambda role: f"<|start_header_id|>{role}<|end_header_id|>\n\n",
            "<|eot_id|>",
            bos="<|begin_of_text|>",
        ),
        jinja="{{ bos_token }}"
        + MARKED
        % (
            "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n'"
            " + (m['content'] | trim) + '<|eot_id|>' }}",
            "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}",
        ),
    ),
    "zephyr": dict(
        kind="llama",
        special=[],
        bos=1,
        eos=2,
        stop="</s>",
        add_bos=False,
        write=marked(roles, "</s>\n"),
        jinja="{% for m in messages %}{% if m['role'] == 'user' %}"
        "{{ '<|user|>\\n' + m['content'] + eos_token }}\n"
        "{% elif m['role'] == 'system' %}{{ '<|system|>\\n' + m['content'] + eos_token }}\n"
        "{% else %}{{ '<|assistant|>\\n' + m['content'] + eos_token }}\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}\n{% endif %}",
    ),
    "gemma": dict(
        kind="llama",
        special=["<start_of_turn>", "<end_of_turn>"],
        bos=1,
        eos=2,
        stop="<end_of_turn>",
        names=["<unk>", "<bos>", "<eos>"],
        prefix=False,
        write=gemma,
        jinja="{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
        "{% set before = messages[0]['content'] + '\\n\\n' %}{% else %}{% set rest = messages %}"
        "{% set before = '' %}{% endif %}{% for m in rest %}"
        "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' }}"
        "{{ before if loop.first else '' }}"
        "{{ (m['content'] | trim) + '<end_of_turn>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
    ),
    "phi-3": dict(
        kind="llama",
        bos=1,
        eos=3,
        stop="<|end|>",
        write=marked(roles, "<|end|>\n", bos="<s>"),
        special=["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"],
        jinja="{{ bos_token }}"
        + MARKED
        % (
            "{{ '<|' + m['role'] + '|>' + '\\n' + m['content'] + '<|end|>' + '\\n' }}",
            "{{ '<|assistant|>' + '\\n' }}",
        ),
    ),
}

# ---- the files ---------------------------------------------------------------------------------

U32, FLOAT, BOOL, STRING, ARRAY, INT = 4, 6, 7, 8, 9, 5


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", BOOL, v)
    if isinstance(v, int):
        return struct.pack("<II", U32, v)
    if isinstance(v, float):
        return struct.pack("<If", FLOAT, v)
    if isinstance(v, str):
        return struct.pack("<I", STRING) + string(v)
    kind, each = {
        str: (STRING, string),
        int: (INT, lambda i: struct.pack("<i", i)),
        float: (FLOAT, lambda f: struct.pack("<f", f)),
    }[type(v[0])]
    return struct.pack("<IIQ", ARRAY, kind, len(v)) + b"".join(map(each, v))


def write_gguf(path, keys, tensors):
    """tensors: name -> rows of floats, or a list of floats."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(string(key) + value(v) for key, v in keys.items())
    body = b""
    for name, rows in tensors.items():
        shape = [len(rows[0]), len(rows)] if isinstance(rows[0], list) else [len(rows)]
        numbers = sum(rows, []) if isinstance(rows[0], list) else rows
        head += (
            string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        )
        head += struct.pack("<IQ", 0, len(body))
        body += struct.pack(f"<{len(numbers)}f", *numbers)
        body += b"\0" * (-len(body) % 32)
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32) + body)


def vocabulary(form):
    """Every printable character is a token, so that any text has one way to be cut."""
    printable = [chr(c) for c in range(33, 127)]
    if form["kind"] == "llama":
        pieces = (
            form.get("names", ["<unk>", "<s>", "</s>"])
            + form["special"]
            + ["\u2581", "\n", "\t"]
            + printable
        )
        types = [2, 3, 3] + [3] * len(form["special"])
    else:  # bytes as characters: the space and what is no printable character moved to 256 and on
        pieces = form["special"] + ["\u0120", "\u010a", "\u0109"] + printable
        types = [3] * len(form["special"])
    types += [1] * (len(pieces) - len(types))
    keys = {
        "tokenizer.ggml.model": form["kind"],
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.bos_token_id": form["bos"],
        "tokenizer.ggml.eos_token_id": form["eos"],
        "tokenizer.chat_template": form["jinja"],
    }
    if form["kind"] == "llama":
        keys["tokenizer.ggml.scores"] = [-float(i) for i in range(len(pieces))]
        keys["tokenizer.ggml.add_space_prefix"] = form.get("prefix", True)
    else:
        keys["tokenizer.ggml.pre"] = form.get("pre", "gpt-2")
    if "add_bos" in form:
        keys["tokenizer.ggml.add_bos_token"] = form["add_bos"]
    return pieces, keys


def answer_of(form):
    """What comes out of the model: behind [/INST] a space first, as the template has it."""
    return ANSWER if form["write"]([("user", SAID)]).endswith("\n") else " " + ANSWER


def chain(form, pieces):
    """Which token follows which: behind the prompt's last, the answer, the end, and then babble."""
    space, newline = ("\u2581", "\n") if form["kind"] == "llama" else ("\u0120", "\u010a")
    last = form["write"]([("user", SAID)])[-1]
    path = [newline if last == "\n" else last]
    path += [space if c == " " else c for c in answer_of(form)] + [form["stop"], "Z"]
    if "more" in form:  # in mid-answer a token that the tokenizer does not know
        path.insert(3, pieces[-1])
    follows = {path[i]: path[i + 1] for i in range(len(path) - 1)}
    return [pieces.index(follows.get(piece, "Z")) for piece in pieces]


def make(name, form, folder):
    pieces, keys = vocabulary(form)
    names = pieces + [f"unknown {i}" for i in range(form.get("more", 0))]
    follows, V = chain(form, names), len(names)
    keys = {
        "general.architecture": "llama",
        "general.name": name,
        "llama.block_count": 1,
        "llama.context_length": 512,
        "llama.embedding_length": V,
        "llama.feed_forward_length": 2,
        "llama.attention.head_count": 1,
        "llama.attention.key_length": 2,
        "llama.attention.value_length": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        **keys,
    }
    zero = lambda rows, columns: [[0.0] * columns for _ in range(rows)]
    embedding, output = zero(V, V), zero(V, V)
    for i in range(V):
        embedding[i][i] = 1.0
        output[follows[i]][i] = 1.0
    layer = {
        "attn_norm": [1.0] * V,
        "attn_q": zero(2, V),
        "attn_k": zero(2, V),
        "attn_v": zero(2, V),
        "attn_output": zero(V, 2),
        "ffn_norm": [1.0] * V,
        "ffn_gate": zero(2, V),
        "ffn_up": zero(2, V),
        "ffn_down": zero(V, 2),
    }
    write_gguf(
        os.path.join(folder, name + ".gguf"),
        keys,
        {
            "token_embd.weight": embedding,
            **{f"blk.0.{part}.weight": rows for part, rows in layer.items()},
            "output_norm.weight": [1.0] * V,
            "output.weight": output,
        },
    )
    return pieces


def render(form, pieces, turns):
    import jinja2.sandbox

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(form["jinja"]).render(
        messages=[{"role": role, "content": text} for role, text in turns],
        add_generation_prompt=True,
        bos_token=pieces[form["bos"]],
        eos_token=pieces[form["eos"]],
    )


CHATML = FORMS["chatml"]["jinja"]


def main():
    folder = sys.argv[1]
    first, answer = [("user", SAID)], [("assistant", ANSWER)]
    talks = {
        "first": first,
        "second": first + answer + [("user", SECOND)],
        "system": [("system", SYSTEM)] + first,
    }
    for name, form in FORMS.items():
        pieces = make(name, form, folder)
        oracle = "same"
        with open(os.path.join(folder, name + ".answer"), "w") as file:
            file.write(answer_of(form))
        for talk, turns in talks.items():
            text = form["write"](turns)
            with open(os.path.join(folder, f"{name}.{talk}"), "w") as file:
                file.write(text)
            try:
                rendered = render(form, pieces, turns)
            except ImportError:
                oracle = None
                break
            if rendered != text:
                oracle = f"{talk}: {rendered!r} instead of {text!r}"
        if oracle:
            with open(os.path.join(folder, name + ".oracle"), "w") as file:
                file.write(oracle)
        print(name)
    make("larger", {**FORMS["chatml"], "more": 7}, folder)
    make("broken", {**FORMS["chatml"], "jinja": "a\nb {% if messages %}"}, folder)
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('No system, please') }}"
    make("refusing", {**FORMS["chatml"], "jinja": refusal + "{% endif %}" + CHATML}, folder)
    alternate = "{{ raise_exception('Never: ' ~ messages|length) }}"
    make("never", {**FORMS["chatml"], "jinja": alternate}, folder)


if __name__ == "__main__":
    main()
