#!/usr/bin/env bash
# tests/test_train.sh - performer train: what it writes runs everywhere; it goes on exactly.
# shellcheck disable=SC2016 # $1 is a field of awk's
. tests/lib.sh

# A text of documents in which each sentence leads to the next.
for i in $(seq 60); do
    echo "The cat number $i sat on the mat. It saw a dog, and the dog saw it. They ran home."
    echo "<|endoftext|>"
done >"$tmp/text.txt"
# One thread: on a busy machine a team of these tiny steps only waits for itself (test_train.c has
# teams).
shape=(--layers 1 --width 16 --heads 2 --context 32 --batch 4 --threads 1)
learn() { run train --file "$tmp/text.txt" "${shape[@]}" "$@"; }

learn --attention softmax --tokenizer bytes --steps 40 --lr 0.02 -o "$tmp/softmax.gguf" --json -q \
    --csv "$tmp/softmax.csv" --svg "$tmp/softmax.svg"
equal "softmax: exit 0" 0 "$code"
equal "steps in the JSON" 40 "$(number steps "$out")"
check "the loss falls" awk -F, 'NR == 2 { first = $2 } END { exit !($2 < first - 1) }' \
    "$tmp/softmax.csv"
equal "a line per step in the CSV" 41 "$(wc -l <"$tmp/softmax.csv")"
check "the SVG has both curves" grep -q 'y="49.0">held out</text>' "$tmp/softmax.svg"
check "no state is left" test ! -e "$tmp/softmax.gguf.train"

learn --attention favor --pieces 300 --kv-heads 1 --features 8 --redraw 7 --steps 40 \
    -o "$tmp/favor.gguf" --json -q --both-attentions --eval-every 20 --csv "$tmp/favor.csv"
equal "favor: exit 0" 0 "$code"
check "the other attention's loss is measured" awk -F, \
    'NR == 21 { exit !($3 > 1 && $4 > 1 && $3 != $4) }' "$tmp/favor.csv"
other=$(number other_loss "$out")
run train --from "$tmp/favor.gguf" --threads 1 --file "$tmp/text.txt" --context 32 --lr 0 \
    --attention softmax \
    --steps 1 --json -q -o "$tmp/o.gguf"
check "and is that of the same weights under softmax" awk -v a="$other" \
    -v b="$(number validation_loss "$out")" \
    'BEGIN { d = a - b; exit !(a > 1 && d * d < 1e-8 * b * b) }'
run inspect "$tmp/favor.gguf" --json
match "the file says favor" '"performer.attention": "favor"' "$out"
match "and stores its features" 'blk.0.favor.projection' "$out"

for model in softmax favor; do
    run generate "$tmp/$model.gguf" -p "The cat" -n 5 -s 1 -q
    equal "$model: generate runs it" 0 "$code"
    run compare "$tmp/$model.gguf" -p "The cat sat on the mat. It saw a dog." --against favor \
        --continue 0 --json -q
    equal "$model: compare runs it" 0 "$code"
    run convert "$tmp/$model.gguf" --type q8_0 -o "$tmp/converted.gguf" -q
    equal "$model: convert reads it" 0 "$code"
done
run calibrate "$tmp/softmax.gguf" --file "$tmp/text.txt" --window 4 --features 8 --steps 2 \
    -o "$tmp/calibrated.gguf" -q
equal "calibrate reads it" 0 "$code"

# ---- the same loss as eval's ----

for i in 1 2 3; do
    echo "{\"ids\": [$i, 20, 3, 4, 5, 6, 70, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 2]}"
done >"$tmp/ids.jsonl"
for options in "softmax" "favor --map positive" "favor --map relu" "favor --map elu" \
    "favor --map hyperbolic" "favor --window 6 --sinks 2"; do
    # shellcheck disable=SC2086
    learn --tokenizer bytes --validation "$tmp/ids.jsonl" --steps 12 -o "$tmp/v.gguf" --json -q \
        --attention $options
    trained=$(number validation_loss "$out")
    run eval "$tmp/v.gguf" --tokens "$tmp/ids.jsonl" --json -q
    check "$options: as eval" awk -v a="$trained" -v b="$(number loss "$out")" \
        'BEGIN { d = a - b; exit !(a > 1 && d * d < 1e-8 * b * b) }'
done

# ---- stopping and going on ----

long=(--attention favor --features 8 --redraw 10 --tokenizer bytes --steps 1000 --eval-every 500)
learn "${long[@]}" -o "$tmp/whole.gguf" --csv "$tmp/whole.csv" -q
equal "a whole run" 0 "$code"
interrupted_after 15 train --file "$tmp/text.txt" "${shape[@]}" "${long[@]}" -o "$tmp/parts.gguf" \
    --csv "$tmp/parts.csv"
equal "Ctrl-C: exit 130" 130 "$code"
match "and it says how to go on" 'stopped after step [0-9]+ of 1000.*--resume goes on' \
    "$(cat "$tmp/err")"
run generate "$tmp/parts.gguf" -p "The" -n 3 -q
equal "the model so far runs" 0 "$code"
check "the state is there" test -s "$tmp/parts.gguf.train"
refused "generate does not take it for a model" 1 'performer-training' \
    generate "$tmp/parts.gguf.train" -n 3
refused "other options" 1 'other options: "batch 4" there, "batch 5" here' train --resume \
    --file "$tmp/text.txt" "${shape[@]}" "${long[@]}" --batch 5 -o "$tmp/parts.gguf" -q
learn "${long[@]}" -o "$tmp/parts.gguf" --csv "$tmp/parts.csv" --resume -q
equal "it goes on" 0 "$code"
check "to the same losses" cmp "$tmp/whole.csv" "$tmp/parts.csv"
check "and the same model" cmp "$tmp/whole.gguf" "$tmp/parts.gguf"
learn --tokenizer bytes --steps 1000000 --seconds 1 -o "$tmp/short.gguf" --json
equal "--seconds: exit 0" 0 "$code"
match "and it is not done" '"stopped": true' "$out"

# ---- going on from a model ----

refused "a shape with --from" 2 'give --from or --layers' train --from "$tmp/favor.gguf" \
    --layers 2 --file "$tmp/text.txt" -o "$tmp/x.gguf"
run train --file "$tmp/text.txt" --from "$tmp/favor.gguf" --threads 1 --context 32 --batch 4 \
    --steps 5 \
    --redraw never -o "$tmp/tuned.gguf" --json --type f16
equal "fine-tuning runs" 0 "$code"
match "under the model's attention" '"attention": "favor"' "$out"
run inspect "$tmp/tuned.gguf"
match "in the type asked for" 'token_embd.weight +f16' "$out"

# ---- refusals ----

printf 'short' >"$tmp/short.txt"
refused "a text shorter than a context" 1 'tokens, but one sequence needs 33' \
    train --file "$tmp/short.txt" "${shape[@]}" --tokenizer bytes -o "$tmp/x.gguf" -q
refused "no output" 2 'add -o FILE.gguf' train --file "$tmp/text.txt"
refused "no text" 2 'add --file TEXT' train -o "$tmp/x.gguf"
refused "a MODEL" 2 'give --from' train "$tmp/favor.gguf" --file "$tmp/text.txt" -o "$tmp/x.gguf"
refused "features under softmax" 2 'add --attention favor' \
    train --file "$tmp/text.txt" --features 8 -o "$tmp/x.gguf"
refused "a map of both signs" 1 'the map trig has negative features' train --attention favor \
    --map trig --file "$tmp/text.txt" "${shape[@]}" -o "$tmp/x.gguf" -q
refused "heads that do not divide" 1 'does not divide into 3 heads' \
    train --file "$tmp/text.txt" --heads 3 --width 16 -o "$tmp/x.gguf" -q
refused "a rate that blows up" 1 'in step [0-9]+ the loss is' train --file "$tmp/text.txt" \
    "${shape[@]}" --tokenizer bytes --lr 10 --clip 0 --warm-up 0 --steps 400 \
    --weight-decay 10 -o "$tmp/x.gguf" -q
refused "nothing to resume" 1 'x.gguf.train' train --file "$tmp/text.txt" "${shape[@]}" \
    --tokenizer bytes -o "$tmp/x.gguf" --resume -q
refused "a full disk" 1 'No space left' train --file "$tmp/text.txt" "${shape[@]}" \
    --tokenizer bytes --steps 2 -o /dev/full -q
refused "its own text as output" 1 'also read in this run' \
    train --file "$tmp/text.txt" "${shape[@]}" -o "$tmp/text.txt" -q
check "nothing is written then" test ! -e "$tmp/x.gguf"
