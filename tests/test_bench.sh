#!/usr/bin/env bash
# tests/test_bench.sh - bench: every type of weights, files of several types, and comparison with an
# earlier run.
. tests/lib.sh

# Every type that the engine reads, by its table of types: name, block size, bytes of a block.
types=0
while read -r name size bytes; do
    types=$((types + 1))
    run bench --shape 256x1x2x256x64 --type "$name" --context 4 --repeat 1 --attention softmax \
        --threads 1 --json -q
    match "bench --shape --type $name" "\"type\": \"$name\"" "$out"
    # 7 matrices [256, 256] and the logits' [64, 256]; keys and values are float32
    equal "... reads the bytes of $name" \
        $(((7 * 256 + 64) * 256 * bytes / size + 5 * 2 * 4 * 256)) \
        "$(printf '%.0f' "$(grep -A 20 '"decode"' "$tmp/out" | grep bytes_per_token |
            grep -oE '[0-9.]+')")"
done < <(grep -oE '\{"[a-z0-9_]+", [0-9]+, [0-9]+\}' engine/base/tensor.c | tr -d '{}",')
check "the table has types" test $types -ge 13
refused "a type that nothing reads" 2 '--type takes' bench --shape 15M --type q9_9

# A file of several types: all of them, by their share of the bytes.
"$performer" convert tests/fixtures/families/llama-scaled.gguf -o "$tmp/mix.gguf" --type q8_0 -q
run bench "$tmp/mix.gguf" --context 4 --repeat 1 --attention softmax -q
match "a file of several types: their shares" 'mix.gguf, [0-9]+% [a-z0-9_]+, [0-9]+% [a-z0-9_]+, ' \
    "$(head -1 <<<"$out")"
run bench "$tmp/mix.gguf" --context 4 --repeat 1 --attention softmax --json -q
equal "... and in JSON they add up to 1" 1.0 "$(python3 -c '
import json, sys
print(round(sum(json.load(open(sys.argv[1]))["types"].values()), 6))' "$tmp/out")"

# --compare
shape=(bench --shape 64x1x2x64x100 --repeat 1 --attention softmax -q --threads 1)
run "${shape[@]}" --context 8 --json
cp "$tmp/out" "$tmp/before.json"
run "${shape[@]}" --context 8,16 --compare "$tmp/before.json"
match "--compare: two columns" 'speed x +share x$' "$out"
match "... a ratio for a test that both have" \
    '^prefill +softmax +8 .* [0-9]+\.[0-9]{2} +[0-9]+\.[0-9]{2}$' "$out"
match "... a dash for one that the earlier run lacks" '^decode +softmax +16 .* - +-$' "$out"
equal "... no warning if nothing differs" "" "$err"
run "${shape[@]}" --context 8 --json --compare "$tmp/before.json"
equal "... in JSON: now / then" "2 ratios agree" "$(python3 -c '
import json, sys
then, now = ({r["test"]: r for r in json.load(open(f))["results"]} for f in sys.argv[1:])
n = sum(abs(now[t][new] / (now[t][old] / then[t][old]) - 1) < 1e-6
        for t in now for new, old in [("speed_ratio", "tokens_per_second")])
share = "share_of_limit"
m = sum(abs(now[t]["share_ratio"] / (now[t][share] / then[t][share]) - 1) < 1e-6 for t in now)
print(min(n, m), "ratios agree")' "$tmp/before.json" "$tmp/out")"
run "${shape[@]}" --context 8 --csv --compare "$tmp/before.json"
equal "... in CSV: as many columns in every line" 1 \
    "$(awk -F, '{ print NF }' "$tmp/out" | sort -u | wc -l)"
"$performer" bench --shape 64x1x2x64x100 --repeat 1 --attention softmax --threads 2 --type f16 \
    --context 8 --compare "$tmp/before.json" >/dev/null 2>"$tmp/err"
match "... a warning if the type of weights differs" 'another type of weights: f32, now f16' \
    "$(cat "$tmp/err")"
match "... or the number of threads" 'another number of threads: 1, now 2' "$(cat "$tmp/err")"
echo '{"results": [{"test": "prefill"}]}' >"$tmp/other.json"
refused "--compare with another file" 1 'other.json has no results of a benchmark' \
    "${shape[@]}" --context 8 --compare "$tmp/other.json"
refused "... with a text" 1 'README.md.*--compare takes what .performer bench --json. printed' \
    "${shape[@]}" --context 8 --compare README.md
refused "... with nothing" 1 'nowhere.json' "${shape[@]}" --context 8 --compare nowhere.json

# A terminal of 80 columns.
cp models/weights/tales-favor.gguf "$tmp/t.gguf"
wide() { sed '1,/^$/d' "$tmp/out" | LC_ALL=C awk 'length > 80'; }
run bench "$tmp/t.gguf" --context 8,16384 --repeat 1 --attention favor --json -q
cp "$tmp/out" "$tmp/before.json"
run bench "$tmp/t.gguf" --context 8,16384 --repeat 1 --attention favor -q
equal "the table fits 80 columns" "0 " "$code $(wide)"
match "... with the bytes of a token and of the state" 'limit +B/token +state +memory$' "$out"
run bench "$tmp/t.gguf" --context 8,16384 --repeat 1 --attention favor -q \
    --compare "$tmp/before.json"
equal "... with --compare, too" "0 " "$code $(wide)"
