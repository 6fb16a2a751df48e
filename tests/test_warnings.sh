#!/usr/bin/env bash
# tests/test_warnings.sh - texts beyond the trained context, and favor on a model that does not
# know it: who is warned, and with which remedy.
. tests/lib.sh

softmax=models/weights/tales-softmax.gguf
favor=models/weights/tales-favor.gguf
if [ ! -f $softmax ] || [ ! -f $favor ]; then
    skip "warnings" "$softmax and $favor are not there"
    exit 0
fi

# 401 tokens; both models were trained for 256.
yes cat | head -n 400 | paste -sd' ' | tr -d '\n' >"$tmp/long.txt"
beyond='warning: the text has 401 tokens, but this model was trained for 256;'
for command in eval generate; do
    run $command $softmax -f "$tmp/long.txt" --context 500
    match "$command: a text beyond the trained context" "$beyond" "$err"
done
run compare $softmax -f "$tmp/long.txt" --against local,window=8 --continue 0 --threads 1
match "compare: the same, for its reference" "$beyond" "$err"
run explain $softmax -f "$tmp/long.txt" --threads 1
match "explain: the same" "$beyond" "$err"
for command in eval generate explain; do
    run $command $softmax -p "once upon a time" --threads 1
    equal "$command: a short text has no warning" 0 "$(grep -c warning "$tmp/err")"
done
run compare $softmax -f "$tmp/long.txt" --against local,window=8 --continue 0 --threads 1 -q
equal "--quiet: no warning" "0 " "$code $err"
run eval $favor -f "$tmp/long.txt"
equal "favor on a model trained with it: no warning" "0 " "$code $err"

# The same number of tokens in the error, in its advice and in the result.
refused "eval counts all tokens" 1 'the text has 401 tokens.*give --context 401 ' \
    eval $softmax -f "$tmp/long.txt"
refused "... as compare does" 1 'the text has 401 tokens, but the context is 99; shorten it, or' \
    compare $softmax -f "$tmp/long.txt" --context 99
run eval $softmax -f "$tmp/long.txt" --context 401 -q
match "... and so does its result" '^tokens +401$' "$out"

# The advice suits the model: it is followed word by word.
advice=$("$performer" eval $softmax -f "$tmp/long.txt" 2>&1 |
    sed 's/.*, or \(.*\), which has.*/\1/')
equal "a softmax model: a window" "--attention local --window 128 --sinks 4" "$advice"
# shellcheck disable=SC2086
run eval $softmax -f models/weights/sample.txt $advice --json
window=$(number perplexity "$out")
run eval $softmax -f models/weights/sample.txt --json
exact=$(number perplexity "$out")
if awk -v a="$window" -v b="$exact" 'BEGIN { exit !(a < 1.05 * b) }'; then
    ok "... with perplexity $window instead of $exact"
else not_ok "... which does not ruin it" "perplexity $window instead of $exact"; fi
refused "a favor model: favor" 1 'or --attention favor, which has no limit' \
    eval $favor --attention softmax -f "$tmp/long.txt"
run generate $softmax -p cat -n 300 --ignore-eos -t 0
match "generate with a full context: a window" \
    'full; for more, give --context N, or --attention local --window 128 --sinks 4,' "$err"
run generate $favor -p cat -n 300 --ignore-eos -t 0 --attention softmax
match "... and favor for a favor model" 'or --attention favor, which has no limit' "$err"
run chat $softmax -n 300 -t 0 <"$tmp/long.txt"
match "chat: a window" '/attention local,window=128,sinks=4 has no limit' "$err"

unknown='warning: .*tales-softmax.gguf does not say that it was trained or calibrated for favor'
# shellcheck disable=SC2016 # a command to type, not to run here
remedy='`performer calibrate` on it, or give --attention local --window 128 --sinks 4'
for command in eval generate; do
    run $command $softmax -p "once upon a time" --attention favor
    equal "$command: favor on a softmax model: one warning" 1 "$(grep -c "$unknown" "$tmp/err")"
    match "... with the remedy" "$remedy" "$err"
    run $command $favor -p "once upon a time" --attention favor
    equal "$command: none for a favor model" 0 "$(grep -c warning "$tmp/err")"
done
printf '/attention favor\n' | "$performer" chat $softmax >"$tmp/out" 2>"$tmp/err"
equal "chat: a warning at /attention favor" 1 "$(grep -c "$unknown" "$tmp/err")"
match "... with a setting to type" 'or give /attention local,window=128,sinks=4' "$(cat "$tmp/err")"

"$performer" calibrate $softmax --file "$tmp/long.txt" --length 128 --texts 2 --no-fit --no-budget \
    --window 8 --features 8 -o "$tmp/calibrated.gguf" -q >"$tmp/out" 2>&1
run eval "$tmp/calibrated.gguf" -p "once upon a time" --attention favor
equal "a calibrated model: no warning" "0 " "$code $err"
refused "... and its advice is favor" 1 'or --attention favor, which has no limit' \
    eval "$tmp/calibrated.gguf" --attention softmax -f "$tmp/long.txt"

# A window over the whole text is exact: favor ruins nothing, but there is a trained context.
run generate $softmax -p "once upon a time" -n 2 --attention favor --window all
equal "favor, --window all: no warning" 0 "$(grep -c warning "$tmp/err")"
run eval $softmax -f "$tmp/long.txt" --attention local --window all
match "--window all beyond the trained context" "${beyond%;} .*exact|$beyond" "$err"

# Under a loaded state only a longer context helps.
run generate $softmax -p "cat" -n 3 -q --save-state "$tmp/state"
refused "a loaded state: no advice that it cannot follow" 1 \
    'the context is 256; give --context [0-9]+$' \
    generate $softmax -f "$tmp/long.txt" --load-state "$tmp/state"
run generate $softmax -n 300 --ignore-eos -t 0 --load-state "$tmp/state"
match "... nor when the context is full" 'full; for more, give --context N$' "$err"

# What is calibrated on, and what recall asks over.
few=(calibrate "$softmax" --no-fit --no-budget --features 8 -o "$tmp/few.gguf")
run "${few[@]}" -f <(echo "The purple robot") --window 8
match "calibrate: few tokens" 'warning: [0-9]+ tokens are little to calibrate on' "$err"
run "${few[@]}" -f "$tmp/long.txt" --length 400 --window 8
match "calibrate: pieces beyond the trained context" \
    'warning: pieces of 40[0-9] tokens are longer than the 256 this model was trained for' "$err"
run "${few[@]}" -f "$tmp/long.txt" --window 8
equal "... none for enough text in short pieces" 0 "$(grep -c warning "$tmp/err")"
run compare $softmax --recall 8,300 --continue 0 --threads 1
match "compare --recall beyond the trained context" \
    'warning: --recall asks over 300 tokens, but this model was trained for 256;' "$err"
