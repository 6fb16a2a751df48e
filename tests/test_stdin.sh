#!/usr/bin/env bash
# tests/test_stdin.sh - a text on standard input: one rule for all commands that read a text.
. tests/lib.sh

model=tests/fixtures/families/llama.gguf
text="the hat and the cat"
printf '%s' "$text" >"$tmp/text.txt"

# generate, eval, compare and explain: a pipe and a file are read as -p and as `-f -` would be.
one_rule() { # COMMAND OPTIONS...
    local wanted name=$1
    run "$@" -p "$text"
    wanted=$out
    run "$@" <"$tmp/text.txt"
    equal "$name: standard input is a file" "$wanted" "$out"
    # shellcheck disable=SC2002 # it is the pipe that is tested
    out=$(cat "$tmp/text.txt" | "$performer" "$@" 2>"$tmp/err")
    equal "$name: standard input is a pipe" "$wanted" "$out"
    run "$@" -f - <"$tmp/text.txt"
    equal "$name: -f -" "$wanted" "$out"
    echo "something else" >"$tmp/other.txt"
    run "$@" -p "$text" <"$tmp/other.txt"
    equal "$name: -p goes before standard input" "$wanted" "$out"
    run "$@" -f "$tmp/text.txt" <"$tmp/other.txt"
    equal "$name: --file goes before standard input" "$wanted" "$out"
}
one_rule generate $model -n 5 -t 0 -q
one_rule explain $model -q --threads 1
# (its seconds differ)
evaluate() { "$performer" eval $model "$@" -q | grep -v '^seconds'; }
equal "eval: standard input is a file" "$(evaluate -p "$text")" "$(evaluate <"$tmp/text.txt")"
tokens() { "$performer" compare $model --against local,window=4 --continue 0 "$@" -q |
    grep -o ': [0-9]* tokens'; }
match "compare: standard input is a file" '^: [0-9]+ tokens$' "$(tokens <"$tmp/text.txt")"
equal "... and the text that is compared" "$(tokens -f "$tmp/text.txt")" \
    "$(tokens <"$tmp/text.txt")"

# Without a text there, each does what it does at a terminal.
: >"$tmp/empty"
for input in /dev/null "$tmp/empty"; do
    name=$(basename "$input")
    run generate $model -n 5 -t 0 -q <"$input"
    code_at_terminal=$code wanted=$out
    run generate $model -n 5 -t 0 -q <&-
    equal "generate: $name is no text" "$code_at_terminal $wanted" "$code $out"
    run explain $model -q --threads 1 <"$input"
    match "explain: $name is no text" 'Token [0-9]' "$out"
    refused "eval: $name is no text" 2 'no text is given' eval $model <"$input"
done
run compare $model --scaling --contexts 8 --seconds 5 -q <"$tmp/text.txt"
equal "compare --scaling reads no text" 0 "$code"

# A pipe that stays empty is waited for, and says so.
mkfifo "$tmp/fifo"
"$performer" eval $model <"$tmp/fifo" >"$tmp/out" 2>"$tmp/err" &
pid=$!
exec 9>"$tmp/fifo"
await [ -s "$tmp/err" ]
match "it says that it waits" 'waiting for a text on standard input' "$(cat "$tmp/err")"
printf '%s' "$text" >&9
exec 9>&-
wait $pid
match "... and reads what comes" '^loss ' "$(cat "$tmp/out")"

# calibrate, too.
if [ -f models/weights/tales-softmax.gguf ]; then
    run calibrate models/weights/tales-softmax.gguf --length 64 --texts 2 --no-fit --no-budget \
        --window 8 --features 8 -o "$tmp/fitted.gguf" <models/weights/sample.txt
    equal "calibrate reads standard input, and does not write its own text" "0 0" \
        "$code $(grep -c 'the model writes' "$tmp/err")"
else skip "calibrate" "the shipped models are not there"; fi
