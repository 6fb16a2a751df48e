#!/usr/bin/env python3
"""Writes what jinja2 makes of chat templates, for tests/test_jinja.c.

    python3 tests/make_chat_templates.py [tests/fixtures]          renders all fixtures anew
    python3 tests/make_chat_templates.py FOLDER FILE.jinja ...     makes fixtures of other templates

chat_talks.json holds the dialogues: with and without a system prompt, of one and of many turns,
empty, odd, in wrong order. chat_templates/NAME.json holds a template, where it is from, and what
each dialogue becomes: a text, {"raises": MESSAGE} where the template refuses it, or {} where it
fails. jinja_constructs.json has a short template for each construct of the language, from
jinja_constructs.txt. Needs jinja2, used as transformers uses it; the test itself does not.
"""

import datetime
import glob
import json
import os
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2024, 7, 26, 12, 0, 0)


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def talks():
    user, answer = message("user", "Hi there."), message("assistant", "Hello! What is it?")
    system, then = message("system", "Be brief."), message("user", "Who are you,\n  really?")
    odd = message(
        "user",
        "  \t'quoted' \"twice\" \\n {{ x }} {% y %} <|im_end|>\n"
        "\u00e9\u2028\u3042\U0001f600 \n",
    )
    think = message("assistant", "<think>\nHm, a greeting.\n</think>\n\nHello!")
    many = [message(("user", "assistant")[i % 2], f"Turn {i + 1}.") for i in range(9)]
    return [
        {"messages": messages, "prompt": prompt}
        for messages, prompt in [
            ([user], True),
            ([system, user], True),
            ([user, answer, then], True),
            ([system, user, answer, then], True),
            ([system, user, answer], False),
            (many, True),
            ([message("system", ""), message("user", ""), message("assistant", ""), odd], True),
            ([system, user, think, then], True),
            ([user, user], True),
            ([answer], False),
            ([system], True),
            ([message("tool", "42")], True),
            ([user, system, then], True),
            ([], True),
        ]
    ]


def constructs(folder):
    """Each line of jinja_constructs.txt, and some that are longer than a line."""
    with open(os.path.join(folder, "jinja_constructs.txt"), encoding="utf-8", newline="\n") as file:
        lines = file.read().splitlines(keepends=True)
    blocks = [
        "  {% if true %}\n    a\n  {% endif %}\nb\n",
        "a\n  {%+ if true %}\n    a\n  {%+ endif +%}\nb\n\n",
        "{%- if true -%}\n\n a \n{%- endif -%}\n b",
        "a\n\t{# c #}\n  {#- d #}\nb {# e #}\n{# f #}",
        "{% if true %}\r\na\r\n{% endif %}\rb\n",
        "{% for i in [1] %}\n  {{ i }}\n  {% endfor %}  \n x {% if 1 %}  \n{% endif %}\n",
        "{{ 1 }}\n\n{{ 2 }}\n\n",
        "{% raw -%}\n a {% x %}\n{%- endraw %}\nb\n  {% raw %}\n c\n  {% endraw %}\nd",
        "{% set a = 'x' -%}\n   {{ a }}\n   {%- set b = 1 +%}\n|",
        "a\u2003{%- if 1 %}b{% endif -%}\u2003c",
        "",
        "\n",
        "\n\n",
    ]
    return lines + blocks


class Generation(jinja2.ext.Extension):
    """{% generation %}: only says what the assistant wrote."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_write"), [], [], body).set_lineno(line)

    def _write(self, caller):
        return caller()


class Refusal(Exception):
    pass


def refuse(text):
    raise Refusal(text)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def environment():
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = refuse
    made.globals["strftime_now"] = NOW.strftime
    return made


def render(template, fixture, talk):
    try:
        return template.render(
            messages=talk["messages"],
            add_generation_prompt=talk["prompt"],
            tools=None,
            documents=None,
            bos_token=fixture["bos_token"],
            eos_token=fixture["eos_token"],
        )
    except Refusal as refusal:
        return {"raises": str(refusal)}
    except Exception:
        return {}


def render_construct(source):
    fixture = {"bos_token": "<s>", "eos_token": "</s>"}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi there."},
    ]
    try:
        template = environment().from_string(source)
    except jinja2.TemplateAssertionError:
        return {}  # a filter or test of no known name: ours fails when it runs
    except jinja2.TemplateError:
        return {"parses": False}
    return render(template, fixture, {"messages": messages, "prompt": True})


def write_constructs(folder):
    cases = [{"template": s, "text": render_construct(s)} for s in constructs(folder)]
    with open(os.path.join(folder, "jinja_constructs.json"), "w", encoding="utf-8") as file:
        json.dump(cases, file, ensure_ascii=False, indent=0)
        file.write("\n")


def write(path, fixture, all_talks):
    template = environment().from_string(fixture["template"])
    fixture["texts"] = [render(template, fixture, talk) for talk in all_talks]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(fixture, file, ensure_ascii=False, indent=0)
        file.write("\n")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures"
    all_talks = talks()
    if len(sys.argv) <= 2:
        write_constructs(folder)
        with open(os.path.join(folder, "chat_talks.json"), "w", encoding="utf-8") as file:
            json.dump(all_talks, file, ensure_ascii=False, indent=0)
            file.write("\n")
        for path in sorted(glob.glob(os.path.join(folder, "chat_templates", "*.json"))):
            with open(path, encoding="utf-8") as file:
                write(path, json.load(file), all_talks)
    for path in sys.argv[2:]:
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8", newline="") as file:
            source = file.read()
        fixture = {"from": path, "bos_token": "<s>", "eos_token": "</s>", "template": source}
        try:
            write(os.path.join(folder, name + ".json"), fixture, all_talks)
        except jinja2.TemplateError as error:
            print(f"{path}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
