#!/usr/bin/env bash
# tests/test_calibrate.sh - calibrate: the command, and its file as we and others read it.
. tests/lib.sh

model=models/weights/tales-softmax.gguf
if [ ! -f $model ]; then
    skip "calibrate" "$model is not there"
    exit 0
fi

head -c 4000 models/weights/sample.txt >"$tmp/text.txt"
few=(--file "$tmp/text.txt" --length 128 --texts 4 --steps 25 --window 12 --features 16 --sinks 1)
value() { printf '%s' "$2" | python3 -c "import json,sys; print(json.load(sys.stdin)$1)"; }

refused "no output given" 2 'add -o FILE' calibrate $model --file "$tmp/text.txt"
refused "a missing text" 1 'nowhere.txt' calibrate $model --file nowhere.txt -o "$tmp/x.gguf"
refused "a budget that is too small" 1 'too small' \
    calibrate $model "${few[@]}" --state-bytes 100 -o "$tmp/x.gguf" -q
refused "a budget with --no-budget" 1 'no-budget' \
    calibrate $model "${few[@]}" --state-bytes 90000 --no-budget -o "$tmp/x.gguf" -q
equal "nothing is written if it fails" "" "$(find "$tmp" -name 'x.gguf*')"

run calibrate $model "${few[@]}" -o "$tmp/fitted.gguf" --json -q
equal "calibrate: exit 0, nothing on stderr" "0 " "$code $err"
report=$out
equal "one report for every layer" 4 "$(value "['layers'].__len__()" "$report")"
equal "... and KV head" 4 "$(value "['layers'][3]['heads'].__len__()" "$report")"
run calibrate $model "${few[@]}" -o "$tmp/again.gguf" -q
if cmp -s "$tmp/fitted.gguf" "$tmp/again.gguf"; then ok "the same seed gives the same file"
else not_ok "the same seed gives the same file"; fi

run inspect "$tmp/fitted.gguf" --json
equal "inspect counts the same state" "$(value "['state_bytes']" "$report")" \
    "$(value "['state_bytes']['favor']" "$out")"

# Its worth: closer to softmax than the window alone; and under softmax the model is unchanged.
tail -c 2500 models/weights/sample.txt >"$tmp/other.txt"
kl() {
    run compare "$1" --file "$tmp/other.txt" --context 1024 --against "$2" --json -q
    value "['settings'][-1]['kl_mean']" "$out"
}
fitted=$(kl "$tmp/fitted.gguf" favor)
window=$(kl "$tmp/fitted.gguf" local,window=12,sinks=1)
if awk -v a="$fitted" -v b="$window" 'BEGIN { exit !(a > 0 && a < b) }'; then
    ok "fitted: $fitted, its mean window alone: $window"
else not_ok "the fit is better than a window" "fitted $fitted, window $window"; fi
run eval "$tmp/fitted.gguf" --attention softmax --file "$tmp/other.txt" --context 1024 --json
loss=$(number loss "$out")
run eval $model --attention softmax --file "$tmp/other.txt" --context 1024 --json
equal "under softmax the model is unchanged" "$(number loss "$out")" "$loss"

run calibrate $model "${few[@]}" --no-fit --no-budget -o "$tmp/closed.gguf" -q
run inspect "$tmp/closed.gguf" --json
equal "--no-fit: no fitted tensors" 0 "$(printf '%s' "$out" | grep -c 'favor.q.weight')"

run calibrate $model "${few[@]}" --same-features -o "$tmp/same.gguf" --json -q
equal "--same-features: all 16 heads have 16 features" 16 \
    "$(printf '%s' "$out" | grep -c '"features": 16')"
run calibrate $model "${few[@]}" --features 0 -o "$tmp/windows.gguf" -q
run eval "$tmp/windows.gguf" --file "$tmp/other.txt" --json
equal "--features 0: windows only, which the file runs by default" local \
    "$(value "['attention']" "$out")"

# Keys of a text that repeats itself lie in few directions.
printf 'a%.0s' {1..4000} >"$tmp/repeated.txt"
run calibrate models/weights/tales-favor.gguf --file "$tmp/repeated.txt" --length 128 --texts 2 \
    --no-fit --no-budget -o "$tmp/repeated.gguf" -q
equal "a text that repeats itself: exit 0" "0 " "$code $err"
run eval "$tmp/repeated.gguf" --file "$tmp/other.txt" -q
match "... and the file runs" '^perplexity  [0-9.]+$' "$out"

# Without a text the model writes its own.
run calibrate $model --length 64 --texts 2 --steps 25 --window 8 --features 8 -o "$tmp/own.gguf"
equal "without --file: exit 0" 0 "$code"
match "... and it says so" "the model writes the text" "$err"

if python3 -c 'import gguf' 2>"$tmp/err"; then
    python3 - $model "$tmp/fitted.gguf" >"$tmp/out" 2>&1 <<'PYTHON'
import sys
from gguf import GGUFReader

was, now = (GGUFReader(path) for path in sys.argv[1:3])
tensors = {t.name: t for t in now.tensors}
for t in was.tensors:
    other = tensors.pop(t.name)
    assert t.tensor_type == other.tensor_type and list(t.shape) == list(other.shape), t.name
    assert t.data.tobytes() == other.data.tobytes(), t.name
assert tensors and all(".favor." in name for name in tensors), list(tensors)
for name in was.fields:
    assert name.startswith("GGUF.") or name in now.fields, name
print("same")
PYTHON
    equal "the package gguf reads the original tensors, bit for bit" same "$(cat "$tmp/out")"
else
    skip "the package gguf reads the file" "python3 has no gguf"
fi

# Ctrl-C: a sentence, and the file that was there before is still there. The options make the pass
# that is to be interrupted by far the longest; it is reached after little work.
for _ in {1..400}; do cat models/weights/sample.txt; done >"$tmp/long.txt"
interrupt() { # "what" OPTIONS...
    local what=$1 pid
    shift
    mkdir "$tmp/there"
    printf 'GGUF: old' >"$tmp/there/out.gguf"
    set -m
    "$performer" calibrate $model -o "$tmp/there/out.gguf" -q "$@" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    set +m
    await grep -q tales-softmax /proc/$pid/maps 2>/dev/null # Ctrl-C is heard by then
    await worked $pid "$work"
    kill -INT $pid 2>/dev/null
    wait $pid
    equal "Ctrl-C in $what: exit 1, a sentence, no output" "1  GGUF: old out.gguf" \
        "$? $(cat "$tmp/out") $(head -c 9 "$tmp/there/out.gguf") $(ls "$tmp/there")"
    equal "... one" "performer: interrupted; $tmp/there/out.gguf is not written" "$(cat "$tmp/err")"
    rm -r "$tmp/there"
}
work=10
interrupt "the survey" --file "$tmp/long.txt" --no-fit --no-budget --length 512 --texts 10000
work=100
long_fit=(--file "$tmp/text.txt" --length 64 --texts 2 --features 8 --window 8 --steps 100000)
interrupt "the trial" "${long_fit[@]}"
interrupt "the fit" "${long_fit[@]}" --no-budget
interrupt "the texts that the model writes" --length 100000
