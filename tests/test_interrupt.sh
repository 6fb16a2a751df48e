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
    local signal=INT
    case $1 in TERM | HUP) signal=$1; shift ;; esac
    : >"$tmp/out" # what an earlier run wrote is no sign of this one
    set -m
    "$performer" "$@" >"$tmp/out" 2>"$tmp/err" &
    local pid=$!
    set +m
    await reading "$1" $pid
    await worked $pid $(($(cpu_time $pid) + 30))
    kill "-$signal" $pid
    wait $pid 2>/dev/null
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

# Whoever ends a program by SIGTERM or by closing its terminal gets as much as by Ctrl-C.
words 150000 >"$tmp/middle.txt"
for signal in TERM:143 HUP:129; do
    interrupted "${signal%:*}" generate $model -f "$tmp/middle.txt" -n 5 -t 0 --stats-json \
        --save-state "$tmp/s"
    equal "SIG${signal%:*} in a prompt: exit ${signal#*:}" "${signal#*:}" $code
    read=$(number prompt_tokens "$err")
    run generate $model --load-state "$tmp/s" -n 1 -t 0 --no-echo --stats-json
    equal "... the statistics are there, and the state has nothing left to read" "0 0" \
        "$((${read:-0} > 0 ? 0 : 1)) $(number prompt_tokens "$err")"
done
"$performer" generate $model -p "The cat" -n -1 --ignore-eos -t 0 --json --save-state "$tmp/s2" -q \
    >"$tmp/out" 2>"$tmp/err" &
pid=$!
await worked $pid 100
kill -TERM $pid
wait $pid
equal "SIGTERM while text is written with --json: exit 143" 143 $?
written=$(number tokens "$(cat "$tmp/out")")
check "... and the JSON has what was written" test "${written:-0}" -gt 0
run generate $model --load-state "$tmp/s2" -n 1 -t 0 --no-echo
equal "... as has the state" 0 $code
(trap '' HUP && exec "$performer" generate $model -p "The cat" -n 30000 --ignore-eos -t 0 -q \
    --json >"$tmp/out" 2>"$tmp/err") &
pid=$!
await worked $pid 50
kill -HUP $pid
wait $pid
equal "nohup: SIGHUP ends nothing" "0 30000" "$? $(number tokens "$(head -c 400 "$tmp/out")")"
mkfifo "$tmp/never"
exec 9<>"$tmp/never"
timeout --preserve-status -k 20 -s TERM 0.5 "$performer" calibrate $model -f "$tmp/never" \
    -o "$tmp/x.gguf" >"$tmp/out" 2>"$tmp/err"
equal "SIGTERM while a text is waited for: exit 143" 143 $?
exec 9>&-
timeout --preserve-status -k 60 -s TERM 1 "$performer" bench $model --context 16000000 --repeat 1 \
    --attention favor --threads 1 -q >"$tmp/out" 2>"$tmp/err"
equal "SIGTERM in work that cannot stop half-way: ends all the same" "143 " "$? $(cat "$tmp/err")"
interrupted TERM eval $model --tokens "$tmp/long.ids" --json
equal "SIGTERM in eval: exit 143" 143 $code
match "... with the figures so far" '"tokens": [0-9]+' "$out"

# What was measured before Ctrl-C is shown, and said to be a part.
partly() { # WHAT ARGUMENTS...
    local what=$1
    shift
    interrupted_after 150 "$@"
    match "Ctrl-C in $what: exit 130, and a sentence" \
        '^130 performer: interrupted; only what was measured before is shown$' \
        "$code $(tail -1 "$tmp/err")"
}
partly bench bench $model --context 64,100000 --repeat 50 --attention softmax
partly "compare --scaling" compare $model --scaling --contexts 64,100000
