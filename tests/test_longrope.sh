#!/usr/bin/env bash
# tests/test_longrope.sh - texts beyond longrope's original context: what the program says and does.
. tests/lib.sh

# original context 64, trained context 256
model=tests/fixtures/hf_families/phi3-long
for i in {1..100}; do echo $((i * 37 % 60 + 3)); done >"$tmp/100.ids"
head -n 30 "$tmp/100.ids" >"$tmp/30.ids"

refused "a text beyond the original context, without --context" 1 'give --context 100, or' \
    eval $model --tokens "$tmp/100.ids"
run eval $model --tokens "$tmp/100.ids" --context 100
equal "--context 100: evaluated, without a warning" "0 0" "$code $(grep -c warning <<<"$err")"
run eval $model --tokens "$tmp/100.ids" --context 300
match "--context 300: a warning" 'context 300 is more than the 256 tokens' "$err"
loss() { "$performer" eval $model --tokens "$tmp/30.ids" -q --json "$@" | grep '"loss"'; }
equal "a context up to the original one changes nothing" "$(loss)" "$(loss --context 40)"
unlike=$(loss --context 65)
equal "a longer one chooses the long factors" differs \
    "$([ "$unlike" = "$(loss)" ] && echo same || echo differs)"
equal "... all of them the same" "$unlike" "$(loss --context 256)"
run inspect $model --json
match "inspect: the original context" '"context": 64' "$out"
match "... and the long one" '"long_context": 256' "$out"
