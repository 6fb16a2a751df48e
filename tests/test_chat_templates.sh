#!/usr/bin/env bash
# tests/test_chat_templates.sh - chat with models of every form of template: what they read and
# where their answers end.
. tests/lib.sh

if ! python3 tests/make_chat_models.py "$tmp" >"$tmp/names" 2>"$tmp/err"; then
    not_ok "models with templates" "$(cat "$tmp/err")"
    exit 1
fi

# chat MODEL "lines" OPTIONS... -> $code, $out, $err
chat() {
    printf '%b' "$2" | "$performer" chat "$1" -t 0 -q -n 40 "${@:3}" >"$tmp/out" 2>"$tmp/err"
    code=${PIPESTATUS[1]}
    out=$(cat "$tmp/out")
    err=$(cat "$tmp/err")
}
# The ids of a text and the answer to it, encoded at once: whole FILE
whole() { cat "$1" "$talk.answer" | "$performer" tokenize "$model" --ids; }

while read -r name; do
    model=$tmp/$name.gguf
    talk=$tmp/$name
    chat "$model" 'Hi there.\n/ids\nAnd who\tare you?\n/ids\n/reset\nHi there.\n/ids\n'
    equal "$name: two turns and another, each to its end" \
        "$(printf 'Hey!\n%.0s' 1 2 3)" "$out"
    equal "$name: reads its template" "$(whole "$talk.first")" "$(sed -n 1p <<<"$err")"
    equal "$name: ... for two turns, with the first answer" \
        "$(whole "$talk.second")" "$(sed -n 2p <<<"$err")"
    equal "$name: ... and again after /reset" \
        "$(whole "$talk.first")" "$(sed -n 3p <<<"$err")"
    chat "$model" 'Hi there.\n/ids\n' --system 'Be brief.'
    equal "$name: a system prompt" "$(whole "$talk.system")" "$err"
    chat "$model" 'Hi there.\n/ids\nAnd who\tare you?\n/ids\n' \
        -n $(($(wc -c <"$talk.answer") - 2))
    equal "$name: an answer that is cut short ends there" "He" "$(head -1 <<<"$out")"
    equal "$name: ... and its turn is closed" \
        "$(cat "$talk.second" "$talk.answer" | sed 's/Hey!/He/g' |
            "$performer" tokenize "$model" --ids)" \
        "$(sed -n 2p <<<"$err")"
    run generate "$model" -f "$talk.second" -t 0 -q --no-echo -n 40
    equal "$name: generate answers the same" "$(cat "$talk.answer")" "$out"
    if [ -f "$talk.oracle" ]; then
        equal "$name: jinja2 writes the same" same "$(cat "$talk.oracle")"
    else
        skip "$name: jinja2 writes the same" "python3 has no jinja2"
    fi
done <"$tmp/names"
equal "all forms" 7 "$(wc -l <"$tmp/names")"

# Templates that are chosen, fail or refuse.
talk=$tmp/chatml
chat "$tmp/broken.gguf" 'Hi there.\n'
equal "a template that cannot be read: exit 1" "1 " "$code $out"
match "... and the message says where, and what to do" \
    'broken.gguf: the chat template cannot be read: line 2: .* --template NAME.FILE.* --raw' "$err"
chat "$tmp/broken.gguf" 'Hi there.\n/ids\n' --template chatml
model=$tmp/chatml.gguf
equal "--template NAME takes its place" "0 Hey! $(whole "$talk.first")" "$code $out $err"
printf '%s' "{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}<|im_start|>assistant
" >"$tmp/own.jinja"
printf '\n' >>"$tmp/own.jinja" # jinja2 drops one newline at the end
chat "$tmp/broken.gguf" 'Hi there.\n/ids\n' --template "$tmp/own.jinja"
equal "--template FILE" "0 Hey! $(whole "$talk.first")" "$code $out $err"
run generate "$tmp/broken.gguf" -p 'Hi there.' --template chatml -t 0 -q -n 40
equal "generate --template answers a message" "0 Hey!" "$code $out"
chat "$tmp/broken.gguf" 'Hi there.\n/text\n' --raw -n 1
match "--raw: the text as it is" '^Hi there\.' "$err"
chat "$tmp/broken.gguf" 'Hi there.\n/text\nAnd\n/text\n' --raw -n 1 --system 'Be brief.'
match "... behind the system prompt, once" \
    '^Be brief\.~~Hi there\..~Be brief\.~~Hi there\..And.~?$' "$(tr '\n' '~' <<<"$err")"
refused "--raw and --template" 1 'give only one' chat "$model" --raw --template chatml
refused "a template of no known name" 1 \
    'names neither a template .chatml, llama-2.* nor a file to read: .*nosuch' \
    chat "$tmp/broken.gguf" --template nosuch
chat "$tmp/refusing.gguf" 'Hi there.\n/text\n' --system 'Be brief.'
match "a template without a system role gets the prompt before the message" \
    '^<.im_start.>user~Be brief\.~~Hi there\.<.im_end.>' "$(tr '\n' '~' <<<"$err")"
chat "$tmp/refusing.gguf" 'Hi there.\n/system Be brief.\nHi there.\n/text\n'
match "... also that of /system" \
    '^<.im_start.>user~Be brief\.~~Hi there\.<.im_end.>' "$(tr '\n' '~' <<<"$err")"
chat "$model" 'Hi there.\n/system Be brief.\nHi there.\n/ids\n/system\n'
equal "/system where the template has a place for it" \
    "$(whole "$talk.system")~the system prompt is: Be brief.~" "$(tr '\n' '~' <<<"$err")"
chat "$model" '/system\n'
match "/system alone, without one" 'the chat template may have its own' "$err"
chat "$tmp/broken.gguf" \
    "Hi there.\n/save $tmp/kept\n/load $tmp/kept\n/reset\nHi there.\n/ids\n" --template chatml
match "/load keeps the template" "$(whole "$talk.first")$" "$err"
chat "$tmp/never.gguf" 'Hi there.\n'
match "a template that refuses says why" \
    'the chat template refuses this conversation, line 1: Never: 1' "$err"
run generate "$model" -p x -n 1 --save-state "$tmp/begun" -q
run generate "$model" -p x --template chatml --load-state "$tmp/begun" -q
match "--template with --load-state" 'begins a dialogue' "$err"

# A template that opens the model's thoughts.
cat >"$tmp/thinks.jinja" <<'JINJA'
{% for m in messages %}{{'<|im_start|>' + m.role + '
' + m.content + '<|im_end|>
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
<think>
' }}{% endif %}
JINJA
chat "$model" 'Hello there\n/text\n' --template "$tmp/thinks.jinja" -n 1
match "a template that opens the thoughts" \
    '^<.im_start.>user~Hello there<.im_end.>~<.im_start.>assistant~<think>~' \
    "$(tr '\n' '~' <<<"$err")"

# The text that was read, and a dialogue continued in another process.
model=$tmp/chatml.gguf talk=$tmp/chatml
chat "$model" "Hi there.\n/text\n/save $tmp/state\n"
equal "/text prints the markers" "$(cat "$talk.first" "$talk.answer")" "$err"
chat "$model" 'And who\tare you?\n/ids\n' --load-state "$tmp/state"
equal "--load-state: the next turn is answered" "Hey!" "$out"
equal "... and closes the one before" "$(whole "$talk.second")" "$(whole "$talk.first") $err"
chat "$model" "$(printf '%s\\n' 'Hi there.' '/save /nowhere/state' /save \
    '/attention performer' '/attention favor,features=0' /ids)"
match "/save to a place that cannot be written" '^performer: cannot create /nowhere/state' \
    "$(sed -n 1p <<<"$err")"
match "/save without a file" 'needs a file' "$(sed -n 2p <<<"$err")"
match "/attention with an unknown name" 'softmax, favor or local' "$(sed -n 3p <<<"$err")"
match "/attention with an impossible setting" 'features' "$(sed -n 4p <<<"$err")"
equal "... and nothing has changed" "$(whole "$talk.first")" "$(sed -n 5p <<<"$err")"

# A model with more tokens than its tokenizer: an extra token is read and written like any other,
# but has no text.
model=$tmp/larger.gguf
chat "$model" 'Hi there.\n/ids\n'
equal "a token that the tokenizer does not have has no text" "0 Hey!" "$code $out"
equal "... but it is read" \
    "$(whole "$talk.first" | sed 's/\( [0-9]*\) \([0-9]*\)$/ 106\1 \2/')" "$err"
run generate "$model" -f "$talk.first" -t 0 -q --no-echo
equal "... in generate, too" "0 Hey!" "$code $out"
refused "... and cannot be decoded" 1 'id 106 is not in the vocabulary' \
    tokenize "$model" --decode -p "106"
printf '4 100 106 4\n' >"$tmp/ids"
run eval "$model" --tokens "$tmp/ids" --json
equal "... but can be evaluated" 0 "$code"

# The template of a real file, as jinja2 runs it.
smollm=models/downloads/smollm2-135m-instruct.gguf
[ -f $smollm ] || smollm=../downloads/smollm2-135m-instruct.gguf
if [ ! -f $smollm ]; then
    skip "SmolLM2's own template" "make smollm2 was not run"
elif ! python3 -c 'import jinja2' 2>"$tmp/err"; then
    skip "SmolLM2's own template" "python3 has no jinja2"
else
    chat $smollm 'What is gravity?\n/text\nWho found it?\n/text\n' -n 8
    "$performer" inspect $smollm --json >"$tmp/json"
    first=$(sed -n 1p <<<"$out") second=$(sed -n 2p <<<"$out")
    python3 - "$tmp/json" "$first" >"$tmp/wanted" <<'PYTHON'
import json
import sys
import jinja2.sandbox

template = json.load(open(sys.argv[1]))["chat_template"]
environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
messages = [{"role": "user", "content": "What is gravity?"},
            {"role": "assistant", "content": sys.argv[2]},
            {"role": "user", "content": "Who found it?"}]
text = environment.from_string(template).render(messages=messages, add_generation_prompt=True)
print(text, end="")
PYTHON
    printf '%s\n' "$second" >>"$tmp/wanted"
    equal "SmolLM2's own template, two turns" \
        "$(cat "$tmp/wanted")" "$(tail -n "$(wc -l <"$tmp/wanted")" <<<"$err")"
fi

# A template that loses what was said; one that quotes what commands a terminal.
echo 'constant' >"$tmp/deaf.jinja"
: >"$tmp/empty.jinja"
plain=models/weights/tales-softmax.gguf
for deaf in deaf empty; do
    refused "generate, $deaf.jinja: the prompt is not dropped" 1 'leaves out the last message' \
        generate $plain --template "$tmp/$deaf.jinja" -p hi -n 3 -q
    run chat $plain --template "$tmp/$deaf.jinja" -n 3 -q <<<hi
    match "chat: nor is a turn" '^1 .*leaves out the last message' "$code $err"
done
echo '{% for m in messages %}{{ m.content | upper }}{% endfor %}' >"$tmp/loud.jinja"
run generate $plain --template "$tmp/loud.jinja" -p hi -n 3 -q
equal "one that changes it may do so" 0 $code
printf '{{ raise_exception("a\x1b[31mb\xc2\x9bc\x07") }}' >"$tmp/coloured.jinja"
run generate $plain --template "$tmp/coloured.jinja" -p hi -n 3 -q
match "a message never commands the terminal" 'a\?\[31mb\?\?c\?$' "$err"
