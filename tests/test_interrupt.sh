#!/usr/bin/env bash
# tests/test_interrupt.sh - Ctrl-C while a long text is read: what was read, saved and reported.
. tests/lib.sh

model=models/weights/tales-favor.gguf
if [ ! -f $model ]; then
    skip "interrupt" "$model is not there"
    exit 0
fi

# One token a word, so that the first N tokens (BOS and N - 1 words) can be written again.
words() { yes cat | head -n "$1" | paste -sd' ' | tr -d '\n'; }
words 600000 >"$tmp/long.txt"
yes 434 | head -n 600001 >"$tmp/long.ids"
words 1000 >"$tmp/few.txt"
equal "a token a word" 1000 "$("$performer" tokenize $model --ids <"$tmp/few.txt" | wc -w)"

# interrupted ARGUMENTS...: presses Ctrl-C once the text is being read: after generate has printed
# it, or eval has computed for a while.
# (background jobs ignore SIGINT unless job control is on)
reading() { [ -s "$tmp/out" ] || { [ "$1" = eval ] && worked "$2" 100; }; }
interrupted() {
    set -m
    "$performer" "$@" >"$tmp/out" 2>"$tmp/err" &
    local pid=$!
    set +m
    await reading "$1" $pid
    await worked $pid $(($(cpu_time $pid) + 30))
    kill -INT $pid
    wait $pid
    code=$?
    out=$(tail -c 2000 "$tmp/out")
    err=$(cat "$tmp/err")
}

interrupted generate $model -f "$tmp/long.txt" -n 5 -t 0 --save-state "$tmp/s" --stats-json
equal "Ctrl-C in a prompt: exit 130" 130 $code
match "... and it says how much was read" \
    'interrupted: [0-9]+ of 600001 tokens of the prompt were read, and the state' "$err"
read=$(number prompt_tokens "$err")
: "${read:=0}"
if ((read > 0 && read < 600001)); then ok "the statistics count what was read: $read"
else
    not_ok "the statistics count what was read" "$err"
    exit 1
fi
equal "... and nothing else" "0 interrupt" \
    "$(number tokens "$err") $(grep -o '"stopped_by":"[a-z]*' "$tmp/err" | sed 's/.*"//')"

run generate $model --load-state "$tmp/s" -n 20 -t 0 --ignore-eos --no-echo --stats-json
continued=$out
equal "the state has nothing left to read" 0 "$(number prompt_tokens "$err")"
words $((read - 1)) >"$tmp/part.txt"
run generate $model -f "$tmp/part.txt" -n 20 -t 0 --ignore-eos --no-echo --stats-json
equal "the same number of tokens" "$read" "$(number prompt_tokens "$err")"
equal "the state continues what was read" "$out" "$continued"

interrupted eval $model --tokens "$tmp/long.ids" --json
equal "Ctrl-C in eval: exit 130" 130 $code
match "... and it says how much was read" 'interrupted after [0-9]+ of 600001 tokens' "$err"
equal "... which is what the figures are of" \
    "$(sed -n 's/.*interrupted after \([0-9]*\) of.*/\1/p' "$tmp/err")" "$(number tokens "$out")"
