#!/usr/bin/env bash
# tests/test_cli.sh - the commands on a tiny model: output, statistics, signals, full disks.
. tests/lib.sh

families=tests/fixtures/families
model=$families/llama.gguf

# generate: the text and one newline go to stdout, the statistics to stderr
run generate $model -p hello -n 4 -t 0
equal "generate: exit 0" 0 "$code"
match "generate: the prompt comes first" '^hello' "$out"
equal "generate: only text on stdout" "" "$(grep -E 'tokens/s|performer:' "$tmp/out")"
match "generate: statistics on stderr" 'prompt [0-9]+ tokens.*generated 4 tokens' "$err"
text=$out
run generate $model -p hello -n 4 -t 0 -q
equal "generate --quiet: same text, empty stderr" "$text " "$out $err"
run generate $model -p hello -n 4 -t 0 -q --no-echo
equal "generate --no-echo: the rest of the text" "${text#hello}" "$out"
printf hello >"$tmp/prompt"
run generate $model -f "$tmp/prompt" -n 4 -t 0 -q
equal "generate -f FILE" "$text" "$out"
run generate $model -f - -n 4 -t 0 -q <"$tmp/prompt"
equal "generate -f - reads standard input" "$text" "$out"
run generate $model -p hello -n 0 -q
equal "generate -n 0: the prompt alone" hello "$out"
run generate $model -n 12 -t 0 --stats-json --ignore-eos -q
equal "--stats-json: one line even with --quiet" 1 "$(wc -l <"$tmp/err")"
for key in prompt_tokens tokens prefill_tokens_per_second decode_tokens_per_second state_bytes \
    peak_rss_bytes; do
    match "--stats-json: $key" '^[0-9.e+]+$' "$(number $key "$err")"
done
run generate $model -n 12 -t 0 --stats-json --ignore-eos
equal "--stats-json: the last line on stderr" 12 "$(number tokens "$(tail -1 "$tmp/err")")"

# the statistics
run generate $model -p hello -n 4 -t 0
match "generate: the part of the state in use, of all" ', state [0-9.]+ k?B of [0-9.]+ k?B, peak' \
    "$err"
run generate $model -p "hello hat" -n 1 -t 0
match "generate: one token is no \"tokens\", and has no speed" 'generated 1 token$' "$err"
run generate $model -p "hello hat" -n 1 -t 0 --attention favor
match "generate: favor uses all of its state" ', state [0-9.]+ k?B, peak' "$err"
run generate $model -p "hello hat" -n 3 -t 0 --stats-json -q
check "generate --stats-json: the state in use is less" test "$(number state_bytes_in_use "$err")" \
    -lt "$(number state_bytes "$err")"

run generate $model -n 30 -s 5 -t 1 --top-p 1 --ignore-eos -q
drawn=$out
run generate $model -n 30 -s 5 -t 1 --top-p 1 --ignore-eos -q
equal "the same seed gives the same text" "$drawn" "$out"
run generate $model -n 30 -s 6 -t 1 --top-p 1 --ignore-eos -q
check "another seed gives another text" test "$drawn" != "$out"

# the end of the context: softmax stops with a message, favor goes on
run generate $model -n 100 -t 0 --ignore-eos --stats-json
equal "softmax stops at the context of 64: exit 0" 0 "$code"
match "... and says so" 'context of 64 tokens is full; .*--context' "$err"
equal "... after 64 new tokens, with the BOS" 64 "$(number tokens "$(tail -1 "$tmp/err")")"
run generate $model -n 100 -t 0 --ignore-eos --stats-json --attention favor
equal "favor goes on" 100 "$(number tokens "$(tail -1 "$tmp/err")")"
run generate $model -n 2 --context 100 -t 0
match "a context longer than the trained one: a warning" \
    'warning: --context 100 .* 64 tokens' "$err"
refused "... is refused if positions are learned" 1 'learned positions.*--context 64' \
    generate $families/gpt2.gguf -n 2 --context 100
long=$(printf 'word %.0s' {1..80})
refused "a prompt longer than the context" 1 'context is 64; give --context [0-9]+' \
    generate $model -p "$long"
refused "an empty prompt without a BOS" 1 'prompt is empty.*-p' generate $families/qwen2.gguf
run generate $model -n 2 -t 0 --features 8
match "an option without effect: a warning" '--features has no effect under softmax' "$err"

# eval
run eval $model --tokens $families/llama.tokens.txt --json --logits "$tmp/logits.f32" --bucket 5
equal "eval: exit 0, nothing on stderr" "0 " "$code $err"
close "eval --logits: equal to the float64 reference" 5e-4 \
    "$tmp/logits.f32" $families/llama.logits.f32
loss=$(number loss "$out")
for key in tokens loss perplexity seconds; do
    match "eval --json: $key" '^[0-9.e+-]+$' "$(number $key "$out")"
done
match "eval --json: attention" '"attention": "softmax"' "$out"
match "eval --json: buckets" '"from": 5' "$out"
run eval $model --tokens $families/llama.tokens.txt --json --threads 1
equal "eval: the loss does not depend on --threads, --logits, --bucket" "${loss:0:9}" \
    "$(number loss "$out" | cut -c1-9)"
ids=$(tr '\n' ',' <$families/llama.tokens.txt | sed 's/,$//')
printf '{"ids": [%s]}\n{"ids": [%s]}\n' "$ids" "$ids" >"$tmp/two.jsonl"
run eval $model --tokens "$tmp/two.jsonl" --json
equal "eval: .jsonl texts are separate, their loss pooled" "${loss:0:9}" \
    "$(number loss "$out" | cut -c1-9)"
match "eval: .jsonl counts all tokens" "^$((2 * $(wc -l <$families/llama.tokens.txt)))\$" \
    "$(number tokens "$out")"
echo "1 2 9x" >"$tmp/bad"
refused "eval: an id that is not a number" 1 'line 1: "9x" is not a token id' \
    eval $model --tokens "$tmp/bad"
echo "1 2 96" >"$tmp/bad"
refused "eval: an id beyond the vocabulary, as the last target" 1 'id 96' \
    eval $model --tokens "$tmp/bad"
echo '{"ids": [1, 2.5]}' >"$tmp/bad.jsonl"
refused "eval: a fraction among ids" 1 'line 1: item 1' eval $model --tokens "$tmp/bad.jsonl"
echo '{"ids": [1,' >"$tmp/bad.jsonl"
refused "eval: broken JSON" 1 'line 1' eval $model --tokens "$tmp/bad.jsonl"
refused "eval: a single token predicts nothing" 1 'at least two tokens' eval $model -p ""
refused "eval: longer than the context" 1 'context is 64; give --context' eval $model -p "$long"
run eval $model -p "$long" --attention favor --json
equal "eval: favor has no limit" 0 "$code"

# tokenize
run tokenize $model --ids -p "the hat"
first=$out
run tokenize $model --decode -p "$out"
equal "tokenize: round trip" "the hat" "$out"
printf 'the hat\nthe\\nhat\n\nlast' >"$tmp/lines"
run tokenize $model --ids --file "$tmp/lines"
equal "tokenize --file: one line of ids per line" "4 $first" \
    "$(wc -l <"$tmp/out") $(head -1 "$tmp/out")"
run tokenize $model --ids --file "$tmp/lines" --escape
"$performer" tokenize $model --decode --escape --file "$tmp/out" >"$tmp/back"
equal "tokenize --escape: round trip" "$(cat "$tmp/lines")" "$(cat "$tmp/back")"
printf 'the\nhat' | "$performer" tokenize $model --ids >"$tmp/stdin"
equal "tokenize: standard input is one text" 1 "$(wc -l <"$tmp/stdin")"
run tokenize $model --ids --bos -p the
match "tokenize --bos" '^1 ' "$out"
refused "tokenize --decode: an unknown id" 1 'id 96 is not in the vocabulary' \
    tokenize $model --decode -p "96"

# inspect, convert
run inspect $model --json
for key in family parameters tensors tokenizer state_bytes; do
    match "inspect --json: $key" "\"$key\":" "$out"
done
run inspect $model --json --context 128
twice=$(number softmax "$out")
run generate $model -n 1 -t 0 --context 128 --stats-json -q
equal "inspect: the state size is what a session allocates" "$twice" "$(number state_bytes "$err")"
run inspect $model
match "inspect: without a window, no local state" '^  local +none: no --window' "$out"
run inspect $model --window 5
match "inspect: with a window, a local state" '^  local +[1-9][0-9]* bytes' "$out"
run convert $model -o "$tmp/favor.gguf" --attention favor --features 16 --attention-seed 9
equal "convert: exit 0, nothing on stdout" "0 " "$code $out"
run inspect "$tmp/favor.gguf" --json
match "convert records attention" '"performer.attention": "favor"' "$out"
match "convert records features" '"performer.features": 16' "$out"
run generate "$tmp/favor.gguf" -n 9 -t 0 -q
recorded=$out
run generate $model -n 9 -t 0 -q --attention favor --features 16 --attention-seed 9
equal "recorded options are the defaults" "$out" "$recorded"
run generate "$tmp/favor.gguf" -n 1 -t 0 -q --stats-json --attention softmax
match "options override recorded ones" '"attention":"softmax"' "$err"
run convert "$tmp/favor.gguf" -o "$tmp/favor.gguf" --type f16
equal "convert onto itself" 0 "$code"
run inspect "$tmp/favor.gguf" --json
match "... keeps the keys" '"performer.features": 16' "$out"
match "... and changes the type" '"type": "f16"' "$out"
head -c 5000 $model >"$tmp/cut.gguf"
refused "a truncated file" 1 'cut.gguf' generate "$tmp/cut.gguf"

# bench
run bench --shape 32x1x2x64x100 --context 8,16 --repeat 1 --json -q
equal "bench: exit 0" 0 "$code"
for key in read_gb_per_s sgemm_gflops int8_gops tokens_per_second share_of_limit context; do
    match "bench --json: $key" '^[0-9.e+-]+$' "$(number $key "$out")"
done
equal "bench: two attentions, two contexts, prefill and decode" 8 \
    "$(grep -c '"tokens_per_second"' "$tmp/out")"
match "bench: limits are named" '"limit": "bandwidth"' "$out"
run bench $model --context 8 --repeat 1 --csv --attention favor -q
equal "bench --csv: a header and one line each for load, prefill and decode" 4 \
    "$(wc -l <"$tmp/out")"
refused "bench: rows that do not fill whole blocks" 1 'multiple of 32' \
    bench --shape 24x1x2x64x100 --type q8_0 --context 8 -q

# a full disk, a closed pipe, Ctrl-C
"$performer" generate $model -n 4 -q >/dev/full 2>"$tmp/err"
equal "full disk: exit 1" 1 $?
match "full disk: a message" 'cannot write to standard output: No space left' "$(cat "$tmp/err")"
"$performer" eval $model -p "the hat" --logits /dev/full >"$tmp/out" 2>"$tmp/err"
equal "full disk for --logits: exit 1" 1 $?
match "full disk for --logits: a message" '/dev/full' "$(cat "$tmp/err")"
"$performer" generate $model -n 100000000 --ignore-eos --attention favor -q 2>"$tmp/err" |
    head -c 10 >/dev/null
equal "closed pipe: ends quietly" "0 " "${PIPESTATUS[0]} $(cat "$tmp/err")"
# (background jobs ignore SIGINT unless job control is on)
set -m
"$performer" generate $model -n 100000000 --ignore-eos --attention favor --stats-json \
    >"$tmp/out" 2>"$tmp/err" &
pid=$!
set +m
for _ in {1..100}; do
    [ -s "$tmp/out" ] && break
    sleep 0.05
done
kill -INT $pid
wait $pid
equal "Ctrl-C: exit 0" 0 $?
match "Ctrl-C: statistics so far" '"stopped_by":"interrupt"' "$(tail -1 "$tmp/err")"
equal "Ctrl-C: the text ends with a newline" "0a" \
    "$(tail -c 1 "$tmp/out" | od -An -tx1 | tr -d ' ')"
