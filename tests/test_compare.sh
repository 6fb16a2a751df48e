#!/usr/bin/env bash
# tests/test_compare.sh - compare: numbers that agree with eval, invariants, tables.
. tests/lib.sh

families=tests/fixtures/families
model=$families/llama.gguf
ids=$families/llama.tokens.txt
tales=models/weights/tales-softmax.gguf

# value JSON-PATH "$json": a value from JSON, by Python
value() { printf '%s' "$2" | python3 -c "import json,sys; print(json.load(sys.stdin)$1)"; }
near() { # "what" EXPECTED ACTUAL TOLERANCE
    if awk -v a="$2" -v b="$3" -v t="$4" \
        'BEGIN { d = a - b; exit !(a != "" && b != "" && d <= t && -d <= t) }'
    then ok "$1"; else not_ok "$1" "expected $2, got $3, tolerance $4"; fi
}

# ---- against eval
run eval $model --tokens $ids --attention softmax --json
loss=$(number loss "$out")
run compare $model --tokens $ids --against softmax --against "local,window=200" \
    --against "favor,window=200" --against "favor,features=64" --json
equal "compare: exit 0, nothing on stderr" "0 " "$code $err"
json=$out
near "the reference's loss is eval's" "$loss" "$(number loss "$json")" 1e-9
near "softmax against itself: no divergence" 0 "$(value "['settings'][0]['kl_mean']" "$json")" 1e-9
equal "softmax against itself: always agrees" "1.0 1.0 None" \
    "$(for key in top1_agreement top5_agreement parts_at; do
        value "['settings'][0]['$key']" "$json"
    done | paste -sd ' ')"
for i in 1 2; do
    near "a window over all of the text is softmax ($i)" 0 \
        "$(value "['settings'][$i]['kl_mean']" "$json")" 1e-6
    near "... in every layer ($i)" 0 \
        "$(value "['settings'][$i]['layers'][-1]['residual_error']" "$json")" 1e-4
done
for key in name loss perplexity kl_mean top1_agreement state_bytes prefill_ms_per_token \
    decode_ms_per_token; do
    match "--json: settings have $key" '.' "$(value "['settings'][3]['$key']" "$json")"
done
match "--json: a reference" 'softmax' "$(value "['reference']['name']" "$json")"

# ---- against the definitions, from the logits that eval writes
run eval $model --tokens $ids --attention softmax --logits "$tmp/p" -q
run eval $model --tokens $ids --attention favor --features 64 --logits "$tmp/q" -q
said=$(printf '%s' "$json" | python3 -c '
import array, json, math, sys
row = json.load(sys.stdin)["settings"][3]
ids = [int(x) for x in open(sys.argv[1])]
def logits(path):
    a = array.array("f", open(path, "rb").read()); v = len(a) // len(ids)
    return [a[i * v:(i + 1) * v] for i in range(len(ids) - 1)]
def logp(l):
    top = max(l); s = top + math.log(sum(math.exp(x - top) for x in l)); return [x - s for x in l]
def best(l, n): return sorted(range(len(l)), key=lambda i: (-l[i], i))[:n]
P, Q = logits(sys.argv[2]), logits(sys.argv[3])
kls, top1, top5 = [], 0, 0
for p, q in zip(P, Q):
    a, b = logp(p), logp(q)
    kls.append(sum(math.exp(x) * (x - y) for x, y in zip(a, b)))
    top1 += best(p, 1) == best(q, 1); top5 += len(set(best(p, 5)) & set(best(q, 5)))
n = len(kls); kls.sort()
def q(s): i = s * (n - 1); k = min(int(i), n - 2); return kls[k] + (i - k) * (kls[k + 1] - kls[k])
want = [sum(kls) / n, q(.5), q(.9), q(.99), kls[-1], top1 / n, top5 / n / 5]
k = row["kl_quantiles"]
have = [row["kl_mean"], k["p50"], k["p90"], k["p99"], k["max"], row["top1_agreement"],
        row["top5_agreement"]]
print("agree" if all(abs(a - b) < 1e-5 for a, b in zip(want, have)) else (want, have))
' $ids "$tmp/p" "$tmp/q" 2>&1)
equal "KL, its quantiles, top-1 and top-5 are what the logits say" agree "$said"

# ---- many texts, every family
row=$(tr '\n' ',' <$ids | sed 's/,$//')
printf '{"ids": [%s]}\n{"ids": [%s]}\n{"ids": [1]}\n' "$row" "$row" >"$tmp/two.jsonl"
run compare $model --tokens "$tmp/two.jsonl" --against "favor,features=64" --json --continue 0
near ".jsonl: texts are apart" "$(value "['settings'][3]['kl_mean']" "$json")" \
    "$(value "['settings'][0]['kl_mean']" "$out")" 1e-9
near ".jsonl: Z is of pairs within a text" "$(value "['z'][0][0]" "$json")" \
    "$(value "['z'][0][0]" "$out")" 1e-6
for family in gpt2 gemma phi3 qwen2 qwen3; do
    run compare $families/$family.gguf --tokens $families/$family.tokens.txt --continue 4 -q
    equal "$family: the default settings" "0 " "$code $err"
done

# ---- what is printed
run compare $tales
equal "the shipped text is the default" 0 "$code"
match "the table has a heading" '^attention +perplexity +KL +top-1' "$out"
match "the plain mean of the values is among the defaults" '^mean ' "$out"
match "continuations stand side by side" '^.{20,} \| ' "$out"
equal "no escapes when stdout is not a terminal" 0 "$(printf '%s' "$out" | grep -c $'\x1b')"
equal "the table fits 100 columns" "" "$(printf '%s\n' "$out" | awk 'length > 100')"
first=$("$performer" compare $tales --json | grep -v ms_per_token)
equal "the same numbers again, except for the times" "$first" \
    "$("$performer" compare $tales --json | grep -v ms_per_token)"
run compare $tales --csv --continue 0
equal "--csv: one line per setting" "$(printf '%s\n' "$out" | wc -l)" \
    "$(printf '%s\n' "$out" | grep -cE '^name,|^"')"
run compare $tales -p "Once upon a time" --against "favor,window=16" --continue 10
equal "-p: exit 0" 0 "$code"
match "a window as long as the text: nothing differs" 'never' "$out"

# ---- --scaling
run compare $model --scaling --contexts 4,64,16 --seconds 30 --json
equal "--scaling: exit 0, nothing on stderr" "0 " "$code $err"
equal "--scaling: the lengths, ascending" "[4, 16, 64]" "$(value "['contexts']" "$out")"
equal "--scaling: every length of both was measured" "6 True" \
    "$(value "['results'].__len__()" "$out") $(
        value "['results'][-1]['decode_ms_per_token'] > 0" "$out")"
run inspect $model --json --context 64
inspected=$(value "['state_bytes']['softmax']" "$out")
run compare $model --scaling --contexts 64 --json --against "favor,features=64"
equal "--scaling: the state is what inspect says" "$inspected" \
    "$(value "['results'][0]['state_bytes']" "$out")"
equal "--scaling: theory, 2 d n" "$(value "['results'][0]['multiplications_per_head']" "$out")" \
    "$(value "['results'][1]['multiplications_per_head']" "$out")"
equal "--scaling: theory crosses at n = M" 64.0 "$(value "['crossings'][0]['theory']" "$out")"
run compare $model --scaling --contexts 16
match "--scaling: a table" '^ +16 +[0-9.]+ +[0-9.]+ +' "$out"
run compare $families/gpt2.gguf --scaling --contexts 16,100000
match "--scaling: lengths without positions are skipped" 'skipping 1 length:' "$err"

# ---- errors
refused "an unknown map" 2 'map takes positive' compare $model -p x --against favor,map=foo
refused "an unknown attention" 2 'attention takes softmax' compare $model -p x --against foo
refused "an option of another command" 2 'not an option of this command' \
    compare $model -p x --against favor,top-k=3
refused "a missing value" 2 'features needs a value' compare $model -p x --against favor,features
refused "two texts" 2 'more than one text' compare $model -p a --file b
refused "a text of one token" 1 'at least two tokens' compare $model -p ""
refused "fitted features in a model without any" 1 'normalized.*calibrate' \
    compare $model -p "the hat" --against favor,map=normalized

# ---- what is left out is said: layers of a deep model, the rest of a text
{
    printf '24ka\1\0\0\0'
    printf '\40\0\0\0\40\0\0\0\12\0\0\0\2\0\0\0\2\0\0\0\100\0\0\0\100\0\0\0\1'
} >"$tmp/deep.bin" # ten layers of zeros
truncate -s $((256 + 4 * (64 * 32 + 10 * (7 * 32 * 32 + 2 * 32) + 32))) "$tmp/deep.bin"
echo 1 2 3 4 >"$tmp/ids.txt"
run compare "$tmp/deep.bin" --tokens "$tmp/ids.txt" --against favor --continue 0
match "ten layers: eight are shown, and it says so" \
    'tables by layer show 8 of 10 layers; --json' "$out"
run compare $model -p "the hat" --against local,window=1 --continue 4
equal "four layers or fewer: no such line" 0 "$(grep -c 'tables by layer' "$tmp/out")"
match "a text that is cut at --continue ends in dots" '\.\.\. *(\||$)' "$(tail -2 <<<"$out")"
