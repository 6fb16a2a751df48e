#!/usr/bin/env bash
# tests/test_limits.sh - limits of memory and inputs without end: a sentence, in time, that blames
# the right thing.
. tests/lib.sh

model=models/weights/tales-softmax.gguf

# limited KILOBYTES ARGUMENTS...: as `run`, under a limit on address space and one of 20 s
limited() {
    local kilobytes=$1
    shift
    (ulimit -v "$kilobytes" && timeout 20 "$performer" "$@") >"$tmp/out" 2>"$tmp/err"
    code=$?
    out=$(cat "$tmp/out")
    err=$(cat "$tmp/err")
}

OMP_NUM_THREADS=1 limited 800000 --version
if ((code == 0)); then
    # Enough to load the libraries, but not for what OpenBLAS reserves then, 128 MB per thread.
    limited 130000 --version
    equal "no address space for OpenBLAS: exit 1, soon" 1 "$code"
    match "... and one sentence that says what to do" \
        '^performer: .*address space .ulimit -v.*OpenBLAS.*OMP_NUM_THREADS=1$' "$err"
    equal "... and nothing else" 1 "$(wc -l <"$tmp/err")"
    OMP_NUM_THREADS=1 limited 260000 --version
    match "a limit that suffices for one thread: no message" '^0 performer [0-9.]+ $' \
        "$code $out $err"

    head -c 30000000 /dev/urandom | base64 >"$tmp/long.txt"
    OMP_NUM_THREADS=1 limited 270000 eval $model -f "$tmp/long.txt" --threads 1
    equal "an input that memory cannot hold: exit 1" 1 "$code"
    match "... which blames the input" '^performer: .*long.txt is too large for the memory' "$err"
    rm "$tmp/long.txt"
else
    skip "limits on address space" "this program was built with a sanitizer, or they have no effect"
fi

seconds=$SECONDS
refused "an input without end" 1 '/dev/zero is longer than [0-9]+ MB.* give a part of it' \
    eval $model -f /dev/zero
check "... is refused soon" test $((SECONDS - seconds)) -lt 60
truncate -s 300M "$tmp/sparse.txt"
refused "a file that is too long" 1 'sparse.txt is longer than [0-9]+ MB' \
    generate $model -f "$tmp/sparse.txt"
refused "chat: a line without end" 1 'this turn is longer than [0-9]+ MB' \
    chat $model --raw -q </dev/zero
