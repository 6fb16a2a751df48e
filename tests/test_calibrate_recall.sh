#!/usr/bin/env bash
# tests/test_calibrate_recall.sh - calibrate --keep: which heads look far back, what they get.
. tests/lib.sh

# A model that copies by an induction circuit: head 0 of layer 0 looks one token back, head 0 of
# layer 1 looks for the last time that the current token was read.
python3 tests/make_copier.py "$tmp/copier.gguf" "$tmp/copier.ids"
fit=(calibrate "$tmp/copier.gguf" --tokens "$tmp/copier.ids" --length 500 --features 0 --sinks 1
    --window 12)
value() { python3 -c 'import json, sys; print(eval("json.load(sys.stdin)" + sys.argv[1]))' "$1"; }

run "${fit[@]}" --keep recall -o "$tmp/recall.gguf" --json
equal "--keep recall: exit 0" 0 "$code"
match "it says which heads look far back" 'recall: 1 of 2 heads look far back .*: 1\.0;' "$err"
match "... and what the state takes, now and later" \
    'chosen: --keep recall: recalls the whole text; .* at 8192 tokens' "$err"
match "... and what the other preset would give" 'instead: --keep constant: recalls' "$err"
equal "... in JSON, too: [layer, head]" "[[1, 0]]" "$(value "['recall']['heads']" <<<"$out")"
equal "... with what each preset gives" "all True" \
    "$(value "['recall']['recall']['recall_radius']" <<<"$out") \
$(value "['recall']['constant'] is not None" <<<"$out")"
equal "... beside the layers" 2 "$(value "['layers'].__len__()" <<<"$out")"
run inspect "$tmp/recall.gguf" --context 1000 --json
equal "the second layer's head is exact, and grows by a key and a value of 64 floats or fewer" \
    "True" "$(value "['state_bytes_per_token']['local'] > 0" <<<"$out")"
constant=$(value "['state_bytes']['local']" <<<"$out")
per_token=$(value "['state_bytes_per_token']['local']" <<<"$out")
run inspect "$tmp/recall.gguf" --context 1001 --json
equal "inspect counts it at any length" "$((constant + per_token))" \
    "$(value "['state_bytes']['local']" <<<"$out")"
run inspect "$tmp/recall.gguf" --context 1000
match "... and in its table" "bytes constant, $per_token bytes per token" "$out"

# What is recalled: everything; and with windows alone, nothing beyond them.
run "${fit[@]}" -o "$tmp/constant.gguf" --json
match "--keep constant is the default" 'chosen: --keep constant' "$err"
run inspect "$tmp/constant.gguf" --json
equal "its state does not grow" 0 "$(value "['state_bytes_per_token']['local']" <<<"$out")"
for kind in recall constant; do
    run compare "$tmp/$kind.gguf" --tokens "$tmp/copier.ids" --continue 0 --recall 256 \
        --against local --json
    printf -v "radius_$kind" '%s' "$(value "['settings'][0]['recall_radius']" <<<"$out")"
done
equal "an exact head copies at any distance; a window does not" "256 None" \
    "${radius_recall:-} ${radius_constant:-}"

refused "a budget that exact heads alone exceed" 1 'one exact head takes' \
    "${fit[@]}" --keep recall --state-bytes 100000 --context 100000 -o "$tmp/x.gguf"
equal "nothing is written then" "" "$(compgen -G "$tmp/x*")"
run "${fit[@]}" --keep recall --kv q8_0 -o "$tmp/q8.gguf"
equal "--kv q8_0: slots are cheaper, so windows are longer" 0 "$code"
refused "--keep takes one of two" 2 'keep takes constant' "${fit[@]}" --keep all -o "$tmp/x.gguf"

# A constant state says once how far back it is exact; under softmax there is nothing to say.
tales=models/weights/tales-softmax.gguf
run calibrate $tales --file models/weights/sample.txt --length 120 --features 0 --window 12 \
    --sinks 1 -o "$tmp/tales.gguf" -q
equal "tales calibrated" 0 "$code"
outline='remembered in outline only'
run generate "$tmp/tales.gguf" -p "Once upon a time" -n 240 --ignore-eos -t 0
equal "a text that goes beyond the exact part: told once" 1 "$(grep -c "$outline" <<<"$err")"
run generate "$tmp/tales.gguf" -p "Once upon a time" -n 240 --ignore-eos -t 0 -q
equal "... not with -q" 0 "$(grep -c "$outline" <<<"$err")"
run generate "$tmp/tales.gguf" -p "Once upon a time" -n 200 --ignore-eos -t 0 --attention softmax
equal "... and not under softmax" 0 "$(grep -c "$outline" <<<"$err")"

# The table names an exact head's window; a model that cannot answer has no heads that look back.
run "${fit[@]}" --keep recall -o "$tmp/recall.gguf"
match "the table: all" '^ +1 +0 +all +0 ' "$out"
match "the state is that of a text of some length" 'state of a text of [0-9]+ tokens: ' "$err"
run calibrate $tales --file models/weights/sample.txt --no-fit --keep recall -o "$tmp/x.gguf"
match "a model that knows no answer: no recall heads" 'no head of this model finds' "$err"
run "${fit[@]}" --keep recall --context 1 -o "$tmp/x.gguf"
match "--context too short for recall: said" 'recall: .*too short to ask over a distance' "$err"
