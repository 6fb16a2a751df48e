#!/usr/bin/env bash
# tests/test_robust.sh - what can go wrong around a run: files truncated while in use, full disks,
# limits, signals, weights that are not finite, settings at the edge of their range.
. tests/lib.sh

model=tests/fixtures/families/llama.gguf

# A file that shrinks while it is mapped: a message, no crash.
cp $model "$tmp/model.gguf"
"$performer" generate "$tmp/model.gguf" -n 100000000 --ignore-eos --attention favor -q \
    >"$tmp/out" 2>"$tmp/err" &
pid=$!
for _ in {1..100}; do
    [ -s "$tmp/out" ] && break
    sleep 0.05
done
: >"$tmp/model.gguf"
wait $pid
equal "a model truncated while in use: exit 1" 1 $?
match "... and a message" '^performer: .*model.gguf became unreadable' "$(cat "$tmp/err")"
mkdir "$tmp/replaced"
cp $model "$tmp/replaced/model.gguf"
"$performer" generate "$tmp/replaced/model.gguf" -p "hello hat" -n 3000 -t 0 --ignore-eos \
    --attention favor -q \
    >"$tmp/out" 2>"$tmp/err" &
pid=$!
cp tests/fixtures/families/qwen2.gguf "$tmp/replaced/new.gguf"
mv "$tmp/replaced/new.gguf" "$tmp/replaced/model.gguf"
wait $pid
equal "a model replaced by renaming: goes on" "0 " "$? $(cat "$tmp/err")"

# Limits and places that cannot be written to: a message, and no file left.
mkdir "$tmp/small"
(
    ulimit -f 8
    "$performer" convert $model -o "$tmp/small/out.gguf" -q >"$tmp/out" 2>"$tmp/err"
)
equal "convert beyond the file size limit: exit 1" 1 $?
match "... and a message" 'small/out.gguf: File too large' "$(cat "$tmp/err")"
equal "... and no file" "" "$(ls "$tmp/small")"
refused "convert into a folder that cannot be written to" 1 '/proc/out.gguf' \
    convert $model -o /proc/out.gguf -q
if [ -w /dev/full ]; then
    refused "convert to a full disk" 1 '/dev/full: No space left' convert $model -o /dev/full -q
fi
"$performer" generate $model -n 2000 --ignore-eos --attention favor -q 2>"$tmp/err" |
    head -1 >/dev/null
equal "generate | head -1" "0 " "${PIPESTATUS[0]} $(cat "$tmp/err")"

# Ctrl-C in convert: a model of zeros, large enough to take a while (sparse, so it needs no disk).
{
    printf '24ka\1\0\0\0'
    printf '\0\2\0\0\0\2\0\0\1\0\0\0\4\0\0\0\4\0\0\0\100\15\3\0\100\0\0\0\1'
} >"$tmp/large.bin"
truncate -s $((256 + 4 * (200000 * 512 + 4 * 512 * 512 + 3 * 512 * 512 + 3 * 512))) "$tmp/large.bin"
mkdir "$tmp/half"
set -m
"$performer" convert "$tmp/large.bin" -o "$tmp/half/out.gguf" --type q4_0 >"$tmp/out" 2>"$tmp/err" &
pid=$!
set +m
for _ in {1..200}; do
    [ -n "$(ls "$tmp/half")" ] && break
    sleep 0.02
done
kill -INT $pid
wait $pid
code=$?
match "Ctrl-C in convert: ends by the signal, unless it has finished before" '^(130|0)$' $code
left=$(ls "$tmp/half")
((code)) || left=${left#out.gguf}
equal "... and leaves no half-written file" "" "$left"

# Ctrl-C in generate: the saved state continues where it was interrupted.
set -m
"$performer" generate $model -p "hello hat" -n 100000000 -t 0 --ignore-eos --attention favor -q \
    --save-state "$tmp/s" >"$tmp/first" 2>"$tmp/err" &
pid=$!
set +m
for _ in {1..100}; do
    [ -s "$tmp/first" ] && break
    sleep 0.05
done
kill -INT $pid
wait $pid
equal "Ctrl-C with --save-state: exit 0" 0 $?
run generate $model -n 20 -t 0 --ignore-eos -q --load-state "$tmp/s"
printf '%s' "$out" >"$tmp/second"
joined=$(head -c -1 "$tmp/first" | cat - "$tmp/second" | wc -c)
"$performer" generate $model -p "hello hat" -n $((joined + 100)) -t 0 --ignore-eos \
    --attention favor -q \
    2>"$tmp/err" | head -c "$joined" >"$tmp/whole"
if head -c -1 "$tmp/first" | cat - "$tmp/second" | cmp -s - "$tmp/whole"; then
    ok "... and the text continues from there"
else
    not_ok "... and the text continues from there" \
        "$(wc -c "$tmp/first" "$tmp/second" "$tmp/whole")"
fi

# Weights that are NaN, infinite, or too large for a type.
spoil() { # FILE BYTES: the last value of the file's last tensor
    cp $model "$1"
    printf '%b' "$2" | dd of="$1" bs=1 seek=$(($(stat -c %s $model) - 4)) conv=notrunc 2>/dev/null
}
spoil "$tmp/nan.gguf" '\0\0\300\177'
spoil "$tmp/inf.gguf" '\0\0\200\177'
spoil "$tmp/large.gguf" '\0\120\303\111' # 1.6e6
for command in generate eval compare; do
    refused "$command: a NaN: the message names the tensor" 1 \
        'nan.gguf: the tensor [a-z0-9_.]+ has a value' $command "$tmp/nan.gguf" -p "the hat" -q
done
refused "an infinity" 1 'inf.gguf: the tensor [a-z0-9_.]+ has' generate "$tmp/inf.gguf" -q
refused "... under favor, two threads" 1 'inf.gguf: the tensor' \
    generate "$tmp/inf.gguf" -q --attention favor --threads 2
refused "a value too large for f16" 1 'tensor .* value of 1.6.*e\+06, too large for f16' \
    convert "$tmp/large.gguf" -o "$tmp/small/f16.gguf" --type f16 -q
refused "a NaN in convert" 1 'is NaN or infinite' \
    convert "$tmp/nan.gguf" -o "$tmp/small/f16.gguf" --type f16 -q
equal "... leaves no file" "" "$(ls "$tmp/small")"

# Settings at the edge of their range.
long=$(printf 'hat %.0s' {1..200})
refused "softmax: a prompt beyond the context" 1 'tokens, but the context is' \
    generate $model -p "$long" -n 1 -q --attention softmax --context 50
run generate $model -p "$long" -n 3 -q --attention favor --context 50
equal "favor: no limit" 0 "$code"
run generate $model -p "" -n 3 -t 0 -q
equal "an empty prompt: starts from BOS" 0 "$code"
refused "an empty prompt without BOS" 1 'prompt is empty' \
    generate tests/fixtures/families/gpt2.gguf -p "" -n 3 -q
run generate $model -p "<s>" -n 3 -t 0 -q
equal "a lone BOS" 0 "$code"
greedy=$("$performer" generate $model -p "hello hat" -n 20 -t 0 --ignore-eos -q)
run generate $model -p "hello hat" -n 20 -t 1e-9 --ignore-eos -q
equal "temperature 1e-9 is greedy" "$greedy" "$out"
run generate $model -p "hello hat" -n 20 -t 1e9 --ignore-eos -q -s 1
equal "temperature 1e9 works" 0 "$code"
run generate $model -p "hello hat" -n 20 -t 1 --top-k 4000000000 --top-p 1 --ignore-eos -q -s 1
all=$out
run generate $model -p "hello hat" -n 20 -t 1 --top-k 0 --top-p 1 --ignore-eos -q -s 1
equal "top-k beyond the vocabulary is all of it" "$out" "$all"
run generate $model -p "hello hat" -n 0 -q
equal "n = 0" "hello hat" "$out"
run generate $model -p "" -n 0 -q
equal "n = 0 without a prompt" "0 " "$code $out"
