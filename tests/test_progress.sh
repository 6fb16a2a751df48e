#!/usr/bin/env bash
# tests/test_progress.sh - long work shows itself, and what was produced is not lost.
. tests/lib.sh

model=models/weights/tales-favor.gguf

# Work of far more than ten seconds, with standard error in a file. Both runs go on while the cases
# below run.
long=(bench --shape 64x2x2x128x512 --context 100000 --attention softmax --repeat 1000)
start=$SECONDS
"$performer" "${long[@]}" >/dev/null 2>"$tmp/log" &
logged=$!
"$performer" "${long[@]}" --quiet >/dev/null 2>"$tmp/quiet" &
quiet=$!

# A pipe gets every token at once, so that a signal loses nothing.
mkfifo "$tmp/pipe"
"$performer" generate $model -p "Once upon a time" -n 100000000 --ignore-eos -s 1 -q >"$tmp/pipe" &
pid=$!
exec 3<"$tmp/pipe"
for _ in 1 2; do timeout 20 dd bs=65536 count=1 status=none <&3; done >"$tmp/first"
match "generate | anything: the first tokens come at once" '^Once upon a time' "$(cat "$tmp/first")"
check "... and not by the block" test "$(stat -c %s "$tmp/first")" -lt 4096
kill -TERM $pid
wait $pid 2>/dev/null
exec 3<&-
"$performer" generate $model -p "Once upon a time" -n 100000000 --ignore-eos -s 1 -q \
    >"$tmp/text" &
pid=$!
longer() { [ "$(stat -c %s "$tmp/text")" -gt 100 ]; }
check "a file grows with every token, not by the block" await longer
kill -TERM $pid
wait $pid 2>/dev/null
size=$(stat -c %s "$tmp/text")
check "... and keeps what there was at SIGTERM ($size bytes)" test $((size % 4096)) -gt 0

# On a terminal: one line that is written again and again.
if command -v script >/dev/null; then
    script -qec "'$performer' convert $model -o '$tmp/copy.gguf'" /dev/null \
        >"$tmp/terminal" </dev/null
    match "a terminal shows a bar" '\[#+ *\] +[0-9]+ %, ' "$(tr '\r' '\n' <"$tmp/terminal")"
    "$performer" convert $model -o "$tmp/copy.gguf" 2>"$tmp/err"
    equal "a log has no bar" 0 "$(grep -c '#' "$tmp/err")"
    equal "... nor anything else for work that is short" 1 "$(wc -l <"$tmp/err")"
else
    skip "a terminal shows a bar" "no script(1)"
fi

has_line() { grep -q . "$tmp/log"; }
check "long work writes a line to a log" await has_line
kill $logged $quiet
wait $logged $quiet 2>/dev/null
match "... after ten seconds" '^performer: (measuring|.*softmax, context 100000).* \(10 s\)$' \
    "$(head -1 "$tmp/log")" # a busy machine may not have come further
check "... and then every ten seconds" test "$(grep -c '(10 s)' "$tmp/log")" = 1
check "... not more often" test "$(wc -l <"$tmp/log")" -le $(((SECONDS - start) / 10 + 1))
equal "... with --quiet nothing" "" "$(cat "$tmp/quiet")"
