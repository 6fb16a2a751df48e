#!/usr/bin/env bash
# tests/test_distill.sh - train --distill: closer to softmax, in one file or two; goes on exactly.
# shellcheck disable=SC2016 # $3 is a field of awk's
. tests/lib.sh

base=models/weights/tales-softmax.gguf
for i in $(seq 80); do
    echo "Once upon a time there was a little girl named Lily. She had $i red balls, and she loved"
    echo "to play with them in the park. One day a dog came and took a ball. Lily was sad."
    echo "<|endoftext|>"
done >"$tmp/text.txt"
run calibrate "$base" --file "$tmp/text.txt" --length 120 --texts 4 --sinks 1 --state-bytes 50000 \
    --steps 30 -o "$tmp/calibrated.gguf" -q
equal "calibrate: exit 0" 0 "$code"
printf '%s' "One day Lily saw a dog. The dog had a red ball, and they played in the park until it" \
    >"$tmp/asked.txt"

# divergence MODEL OPTIONS...: from the base under softmax
divergence() {
    run compare "$@" --reference "$base" -f "$tmp/asked.txt" --against favor --continue 0 --csv -q
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "kl_mean") at = i }
        END { print $at }' <<<"$out"
}
distil=(train --from "$tmp/calibrated.gguf" --distill --file "$tmp/text.txt" --context 60
    --batch 2 --lr 0.005 --eval-every 20 --threads 1)
before=$(divergence "$tmp/calibrated.gguf")

run "${distil[@]}" --steps 60 --rank 4 -o "$tmp/merged.gguf" --csv "$tmp/losses.csv" --json -q
equal "distil: exit 0" 0 "$code"
check "the divergence on the held-out part falls" awk -F, \
    '$3 != "" { if (!first) first = $3; last = $3 } END { exit !(last < first) }' "$tmp/losses.csv"
after=$(divergence "$tmp/merged.gguf")
check "and that of compare --reference" awk -v a="$before" -v b="$after" \
    'BEGIN { exit !(b < 0.9 * a) }'
run inspect "$tmp/merged.gguf"
match "heads keep their windows" 'performer.windows' "$out"

run "${distil[@]}" --steps 60 --rank 4 -o "$tmp/features.gguf" --save-lora "$tmp/lora.gguf" -q
equal "with an adapter: exit 0" 0 "$code"
check "both together are the merged model" awk -v a="$after" \
    -v b="$(divergence "$tmp/features.gguf" --lora "$tmp/lora.gguf")" \
    'BEGIN { d = a - b; exit !(a > 0 && d * d < 1e-4 * a * a) }'
for model in "$base" "$tmp/features.gguf"; do
    run eval "$model" -f "$tmp/asked.txt" --attention softmax --json
    number loss "$out"
done >"$tmp/softmax"
equal "without it, the model under softmax is what it was" 1 "$(uniq "$tmp/softmax" | wc -l)"

# ---- stopping and going on ----

run "${distil[@]}" --steps 30 -o "$tmp/whole.gguf" --csv "$tmp/whole.csv" -q
interrupted_after 15 "${distil[@]}" --steps 30 -o "$tmp/parts.gguf" --csv "$tmp/parts.csv"
stopped=$code
run "${distil[@]}" --steps 30 -o "$tmp/parts.gguf" --csv "$tmp/parts.csv" --resume -q
equal "stopped, and it goes on" "130 0" "$stopped $code"
check "to the same losses" cmp "$tmp/whole.csv" "$tmp/parts.csv"
check "and the same model" cmp "$tmp/whole.gguf" "$tmp/parts.gguf"

# ---- refusals ----

text=(--file "$tmp/text.txt" -o "$tmp/x.gguf")
refused "a model that was not calibrated" 1 'performer calibrate. has given' \
    train --from "$base" --distill "${text[@]}"
refused "no model" 2 'no effect without --from' train --distill "${text[@]}"
refused "another attention" 2 'give --distill or --window' \
    train --from "$tmp/calibrated.gguf" --distill --window 8 "${text[@]}"
refused "an adapter of what is not distilled" 2 'no effect without --distill' \
    train --from "$base" --save-lora "$tmp/y.gguf" "${text[@]}"
refused "the adapter in the model's place" 1 'name two' \
    train --from "$tmp/calibrated.gguf" --distill --save-lora "$tmp/x.gguf" "${text[@]}"
refused "all weights of a calibrated model" 1 'give --distill, or --attention softmax' \
    train --from "$tmp/calibrated.gguf" "${text[@]}"
refused "a reference of another shape" 1 'another shape or vocabulary' compare \
    "$tmp/merged.gguf" --reference tests/fixtures/families/llama.gguf -p "a b c"
check "nothing is written then" test ! -e "$tmp/x.gguf"
