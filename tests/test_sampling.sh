#!/usr/bin/env bash
# tests/test_sampling.sh - stop texts, penalties, -n -1, and options as llama.cpp's users type them.
. tests/lib.sh

tales=models/weights/tales-softmax.gguf

text() { "$performer" generate "$@" -q --no-echo -t 0; }
distinct() { tr -s ' ' '\n' <<<"$1" | sort -u | wc -l; }

# ---- stop texts
whole=$(text $tales -p "Once upon a time" -n 60)
for stop in "named" "amed Li" ". She" "y" "ily. S"; do
    equal "--stop \"$stop\": all that comes before it, and nothing of it" \
        "${whole%%"$stop"*}" "$(text $tales -p "Once upon a time" -n 60 --stop "$stop")"
done
equal "several: the first that comes" "${whole%%to play*}" \
    "$(text $tales -p "Once upon a time" -n 60 --stop "One day" --stop "to play" --stop=xyz)"
equal "one that never comes changes nothing" "$whole" \
    "$(text $tales -p "Once upon a time" -n 60 --stop "${whole: -3}?")"
run generate $tales -p "Once upon a time" -n 60 --stop Lily --json -q -t 0
match "--json: the text ends there" '"stopped_by": "stop"' "$out"
equal "... without it" 0 "$(grep -c '"text".*Lily' <<<"$out")"
equal "the prompt is not searched" "${whole%%,*}" \
    "$(text $tales -p "Once upon a time" -n 60 --stop ',')"
smollm=models/downloads/smollm2-135m-instruct.gguf
if [ -f $smollm ]; then
    ask=(text "$smollm" -p "déjà vu, déjà vu, déjà vu, d" -n 12)
    whole=$("${ask[@]}")
    equal "--stop \"à\", a character of two tokens or bytes" "${whole%%à*}" \
        "$("${ask[@]}" --stop à)"
else skip "--stop with a character of several bytes" "make smollm2 was not run"; fi
refused "an empty stop text" 2 'empty' generate $tales --stop ""
refused "one that is not UTF-8" 2 'not UTF-8' generate $tales --stop $'\xff'

# ---- penalties
favor=models/weights/tales-favor.gguf
loop=$(text $favor -p "The bird was very, very" -n 150 --ignore-eos)
for penalty in "--repeat-penalty 1.3" "--presence-penalty 1.5" "--frequency-penalty 0.8" \
    "--dry-multiplier 2"; do
    # shellcheck disable=SC2086  # an option and its value
    said=$(text $favor -p "The bird was very, very" -n 150 --ignore-eos $penalty)
    more=$(($(distinct "$said") > $(distinct "$loop")))
    equal "$penalty: more different words ($(distinct "$said") for $(distinct "$loop"))" 1 $more
done
words=
for dry in 0.8 0; do
    said=$("$performer" chat $favor -t 0 -n 300 -q --dry-multiplier $dry \
        <<<"The bird was very, very")
    words+=" $(distinct "$said")"
done
said=$("$performer" chat $favor -t 0 -n 300 -q <<<"The bird was very, very")
read -r with without <<<"$words"
equal "chat breaks loops by default ($with different words for $without)" "$with 1" \
    "$(distinct "$said") $((with > without))"
equal "--repeat-last-n 0 switches them off" "$loop" "$(text $favor -p "The bird was very, very" \
    -n 150 --ignore-eos --repeat-penalty 1.3 --presence-penalty 1 --repeat-last-n 0)"
equal "by default there are none" "$loop" "$(text $favor -p "The bird was very, very" -n 150 \
    --ignore-eos --repeat-penalty 1 --presence-penalty 0 --frequency-penalty 0)"
penalties=(--repeat-penalty 1.2 --presence-penalty 0.3 --dry-multiplier 1 --repeat-last-n 40)
together=$(text $favor -p "The bird" -n 80 "${penalties[@]}")
first=$(text $favor -p "The bird" -n 33 "${penalties[@]}" --save-state "$tmp/s")
second=$(text $favor -n 47 "${penalties[@]}" --load-state "$tmp/s")
equal "a saved text goes on with what it remembers" "$together" "$first$second"
equal "-1 looks back over the whole context" \
    "$(text $favor -p "The bird" -n 80 --repeat-penalty 1.2 --repeat-last-n 4000)" \
    "$(text $favor -p "The bird" -n 80 --repeat-penalty 1.2 --repeat-last-n -1)"
refused "a bad penalty" 2 'from 0 to 1000' generate $favor --repeat-penalty -1

# ---- as many tokens as there are
run generate $tales -p "Once upon a time" -n -1 -t 0.8 -s 80 -q --json
equal "-n -1: until the end of the text" "0 1" "$code $(grep -c '"stopped_by": "end"' <<<"$out")"
run generate $tales -p "Once" -n -1 -t 0 -q --json --ignore-eos --context 40
equal "... or of the context" "0 1" "$code $(grep -c '"stopped_by": "context"' <<<"$out")"
refused "-n -2" 2 'or -1 \(no limit\)' generate $tales -n -2

# ---- as llama.cpp's users type it
run generate $tales -p "Once upon a time" -n 20 -t 0 -q --kv f16 --context 100
wanted=$out
run generate -m $tales -p "Once upon a time" --n-predict 20 --temp 0 -q -ctk f16 -ctv=f16 \
    --ctx-size 100 --threads 0
equal "-m, --n-predict, --temp, -ctk, --ctx-size, --threads 0" "0 $wanted" "$code $out"
run generate -m $tales -ngl 99 -n 1
equal "-ngl is ignored, with a sentence" "0 1" "$code $(grep -c 'ngl has no effect' <<<"$err")"
run generate -m $tales --gpu-layers=99 -n 1 -q
equal "... which -q silences" "0 " "$code $err"
refused "-ngl without a number" 2 'needs a value' generate $tales -ngl
refused "the model twice" 2 'given twice' generate $tales -m $tales
refused "-ctk and -ctv that differ" 2 'do not go together' generate $tales -ctk f16 -ctv f32
refused "an alias of another command's option" 2 'temperature\) is not an option of this command' \
    inspect $tales --temp 3

# The statistics tell what a person asks: how long until the first word, how fast, and how near to
# what the machine can do.
model=tests/fixtures/families/llama.gguf
run generate $model -p "the hat" -n 9 -t 0 --ignore-eos --limits --stats-json
match "tokens/s, GB/s and their share of the machine's" \
    'generated 9 tokens, [0-9.]+ tokens/s, [0-9.]+ GB/s \([0-9]+ % of the [0-9.]+ GB/s this' "$err"
match "the time to the first token" '^first token after [0-9.]+ m?s; ' "$err"
equal "... in JSON: the share is that of both rates" True "$(python3 -c '
import json, sys
s = json.loads(sys.argv[1].splitlines()[-1])
print(0 < s["seconds_to_first_token"] < 60 and abs(s["share_of_limit"] *
      s["limit_read_gb_per_second"] / s["read_gb_per_second"] - 1) < 1e-6)' "$err")"
run generate $model -p "the hat" -n 9 -t 0 --ignore-eos --stats-json
equal "without --limits no limit is measured" 0 "$(grep -c 'this machine\|limit_read' "$tmp/err")"
