#!/usr/bin/env bash
# tests/test_state.sh - --save-state and --load-state: two processes in turn write the text of one.
. tests/lib.sh

model=tests/fixtures/families/llama.gguf

# goes_on "what" OPTIONS...: 40 tokens at once equal 17 + 23 with a saved state between them.
goes_on() {
    local what=$1
    shift
    run generate $model -p "hello hat" -n 40 --ignore-eos -q "$@"
    printf %s "$out" >"$tmp/whole"
    run generate $model -p "hello hat" -n 17 --ignore-eos -q --save-state "$tmp/s" "$@"
    printf %s "$out" >"$tmp/parts"
    local options=() argument skip=
    for argument; do # the sampling options again; attention and random numbers are in the state
        case $argument in
        -t | --threads) options+=("$argument") skip=no ;;
        -*) skip=yes ;;
        *) [ "$skip" = no ] && options+=("$argument") ;;
        esac
    done
    run generate $model -n 23 --ignore-eos -q --load-state "$tmp/s" "${options[@]}"
    printf %s "$out" >>"$tmp/parts"
    if [ -s "$tmp/whole" ] && cmp -s "$tmp/whole" "$tmp/parts"; then ok "$what"; else
        not_ok "$what" "whole: $(od -c "$tmp/whole" | head -5)" \
            "parts: $(od -c "$tmp/parts" | head -5)" "$err"; fi
}

for t in 0 1.1; do
    goes_on "softmax, temperature $t" -t $t --seed 3 --attention softmax
    goes_on "favor, temperature $t" -t $t --seed 3 --attention favor --features 16
    goes_on "favor with a window, temperature $t" -t $t --seed 3 --attention favor --window 5 \
        --sinks 1
    goes_on "favor with redraws, temperature $t" -t $t --seed 3 --attention favor --redraw 7
    goes_on "local, temperature $t" -t $t --seed 3 --attention local --window 6 --sinks 2
    goes_on "half precision, temperature $t" -t $t --seed 3 --attention softmax --kv f16
    goes_on "two threads, temperature $t" -t $t --seed 3 --attention favor --threads 2
done

run generate $model -p "hello hat" -n 5 -t 0 --ignore-eos -q --attention favor --save-state "$tmp/s"
small=$(stat -c %s "$tmp/s")
run generate $model -p "hello hat" -n 500 -t 0 --ignore-eos -q --attention favor \
    --save-state "$tmp/s"
equal "favor: the state has a fixed size" "$small" "$(stat -c %s "$tmp/s")"
run generate $model -n 3 -p " and" -t 0 -q --load-state "$tmp/s"
match "a prompt is appended to the state" '^ and' "$out"
run generate $model -p "hello hat" -n 0 -q --save-state "$tmp/s"
equal "-n 0: saves the state after the prompt" 0 "$code"
first=$("$performer" generate $model -p "hello hat" -n 9 -t 0 --ignore-eos -q)
run generate $model -n 9 -t 0 --ignore-eos -q --load-state "$tmp/s"
equal "... and continues from there" "$first" "hello hat$out"

refused "another model" 1 'another model' \
    generate tests/fixtures/families/qwen2.gguf --load-state "$tmp/s" -q
refused "other attention options" 1 'attention options' \
    generate $model --load-state "$tmp/s" --attention local --window 4 -q
refused "keys of another type" 1 'attention options' \
    generate $model --load-state "$tmp/s" --kv f16 -q
refused "a model is no state" 1 'not a saved state' generate $model --load-state $model -q
refused "no file" 1 'nowhere' generate $model --load-state /nowhere/s -q
head -c -9 "$tmp/s" >"$tmp/cut"
refused "a truncated state" 1 'cut: .*bytes' generate $model --load-state "$tmp/cut" -q
run generate $model -n 2 -q --save-state /nowhere/s
equal "a target in a missing folder: exit 1" 1 "$code"
match "... and a message" '/nowhere/s' "$err"
run generate $model -n 2 -q --save-state /dev/full
match "a full disk: a message" 'dev/full: No space left' "$err"
