#!/usr/bin/env bash
# tests/test_chat.sh - performer chat: through a pipe, at a pseudo-terminal, and with a real model.
. tests/lib.sh

model=tests/fixtures/families/llama.gguf

# say "lines" OPTIONS...: through a pipe -> $code, $out, $err
say() {
    printf '%b' "$1" | "$performer" chat "${@:2}" >"$tmp/out" 2>"$tmp/err"
    code=${PIPESTATUS[1]}
    out=$(cat "$tmp/out")
    err=$(cat "$tmp/err")
}

# A model without a template continues the text.
text=$("$performer" generate $model -p "hello hat" -n 12 -t 0 -q --no-echo)
say 'hello hat\n' $model -n 12 -t 0 -q
equal "the text is continued" "0 $text" "$code $out"
say 'hello hat\n' $model -n 12 -t 0
match "... with a note about the missing template" 'has no chat template' "$err"
say 'hello hat\nand\n/reset\nhello hat\n' $model -n 12 -t 0 -q
equal "three turns, three answers" 3 "$(wc -l <<<"$out")"
equal "/reset forgets" "$text" "$(tail -1 <<<"$out")"
say 'hello hat\n/state\n' $model -n 12 -t 0 -q
match "/state counts the tokens read" '^[0-9]+ tokens read, softmax attention, state' "$err"
say 'hello hat\n/attention favor,features=16\n/attention softmax\n' $model -n 12 -t 0 -q
match "/attention switches attention" '[0-9]+ tokens read, favor attention' "$err"
equal "... and reads everything again" 1 \
    "$(grep -o '^[0-9]* tokens read' <<<"$err" | sort -u | wc -l)"
say "hello hat\n/save $tmp/s\nand\n" $model -n 12 -t 0 -q --attention favor
second=$(tail -1 <<<"$out")
say 'and\n' $model -n 12 -t 0 -q --load-state "$tmp/s"
equal "/save, and --load-state in another process: the same answer" "$second" "$out"
say 'hello\n/attention local,window=4\n' $model -q --load-state "$tmp/s" -n 3
match "... but with no other attention" 'began with a saved state' "$err"
say '/nonsense\n/save\n/attention sofmax\nhello hat\n' $model -n 12 -t 0 -q
equal "mistakes are reported, and the chat goes on" "1 3 $text" "$code $(wc -l <<<"$err") $out"
match "... each with a message" 'softmax, favor or local' "$err"
say "$(printf 'hat %.0s' {1..400})\n" $model -n 3 -q --attention softmax --context 64
match "a line beyond the context: a message" \
    'context is 64; /attention local,window=32,sinks=4' "$err"
said='hello hat\nand\nthe hat\n/state\n/attention favor\nthe\n/state\n'
say "$said"'/reset\n/attention softmax\nhello hat\n' \
    $model -n 40 -t 0 -q --attention softmax --context 64
equal "softmax: an answer stops at the end of the context, and the next turn is not read" \
    "65 tokens, but the context is 64 70 tokens, but the context is 64 64 tokens read, softmax" \
    "$(grep -oE '^[0-9]+ tokens read, softmax|[0-9]+ tokens, but the context is 64' <<<"$err" |
        head -3 | xargs)"
equal "... /attention favor goes on" "64 105" \
    "$(grep -oE '^[0-9]+ tokens read, favor' <<<"$err" | cut -d' ' -f1 | xargs)"
equal "... and after /reset it answers as at first" "$(head -3 <<<"$out")" "$(tail -3 <<<"$out")"

# state_at N "$err" -> "STATE MEMORY": what /state says after turn N of ten, with the memory in MB
state_at() {
    grep 'tokens read' <<<"$2" | sed -n "$1p" | sed -E 's/.*state (.*); peak memory (.*)/\1 \2/' |
        awk '{ print $1 $2, $4 == "MB" ? $3 : $4 == "GB" ? 1000 * $3 : $3 / 1000 }'
}
# ten_turns "what" MODEL OPTIONS...: the state is as large after turn 10 as after turn 2, and the
# memory grows by no more than 1 MB
ten_turns() {
    local what=$1 questions
    shift
    questions=$(printf '%s\\n/state\\n' 'What is gravity?' 'Who found it?' 'Tell me more.' 'Why?' \
        'Where was he born?' \
        'And when?' 'What is light?' 'Is it heavy?' 'Tell me about the sun.' 'Thank you!')
    say "$questions" "$@" -t 0 -q
    local second tenth
    read -r -a second <<<"$(state_at 2 "$err")"
    read -r -a tenth <<<"$(state_at 10 "$err")"
    equal "$what: the state after ten turns is as large as after two" \
        "${second[0]}" "${tenth[0]-none}"
    if awk -v a="${second[1]-}" -v b="${tenth[1]-}" 'BEGIN { exit !(a > 0 && b <= a + 1) }'; then
        ok "... and so is memory: ${second[1]} MB"
    else not_ok "... and so is memory" "${second[*]-} MB, ${tenth[*]-} MB" "$err"; fi
    equal "... with ten answers" 10 "$(grep -c 'tokens read' <<<"$err")"
}
ten_turns "favor" $model -n 200 --attention favor
tales=models/weights/tales-favor.gguf
if [ -f $tales ]; then ten_turns "tales-favor" $tales -n 100
else skip "ten turns" "$tales is not there"; fi
"$performer" chat $model -q </dev/null >"$tmp/out" 2>&1
equal "no input: exit 0" "0 " "$? $(cat "$tmp/out")"

# Ctrl-C while the model reads a long line: it skips the rest and goes on with the next line. The
# first answer shows that it listens; once all is written, the whole line has arrived.
mkfifo "$tmp/said"
set -m
"$performer" chat $model -t 0 -n 5 --attention favor <"$tmp/said" >"$tmp/out" 2>"$tmp/err" &
pid=$!
set +m
{
    echo hat
    await [ -s "$tmp/out" ]
    for _ in {1..12}; do printf 'hat%.0s ' {1..25000}; done
    printf '\n/state\nand\n/state\n'
    await worked $pid $(($(cpu_time $pid) + 20))
    kill -INT $pid
} >"$tmp/said"
wait $pid
equal "Ctrl-C in a long line: exit 0" 0 $?
read -r -a at <<<"$(sed -n 's/ tokens read.*//p' "$tmp/err" | xargs)"
if ((at[0] >= 256 && at[0] < 1200000 && at[1] > at[0])); then
    ok "... which is read in part: ${at[0]} tokens"
else not_ok "... which is read in part" "${at[*]}" "$(cat "$tmp/err")"; fi
match "... and it says so" 'interrupted; the last [0-9]+ tokens of your text were not read' \
    "$(cat "$tmp/err")"

# At a terminal: types KEYS in turn -> $out. Keys that begin with Ctrl-C are typed once an answer is
# being printed, others at the prompt; WAIT waits for the file $tmp/go. The shell is bash, because
# dash dies of a Ctrl-C that its child has handled.
if command -v script >/dev/null; then
    typed=0 # bytes of output when the last keys were typed
    printed() { (($(stat -c %s "$tmp/out") > typed + $1)); }
    at_prompt() { printed 0 && [ "$(tail -c 2 "$tmp/out")" = '> ' ]; }
    type_keys() {
        local keys
        for keys; do
            case $keys in
            WAIT) await [ -e "$tmp/go" ] && continue ;;
            '\003'*) await printed 25 ;; # more than the echo of what was typed before
            *) await at_prompt ;;
            esac
            typed=$(stat -c %s "$tmp/out")
            printf '%b' "$keys"
        done
    }
    at_terminal() { # COMMAND KEYS...
        local command=$1
        shift
        : >"$tmp/out"
        type_keys "$@" | TERM=xterm SHELL=/bin/bash timeout 60 \
            script -qfec "$command" /dev/null >>"$tmp/out" 2>&1
        out=$(tr -d '\r' <"$tmp/out")
    }
    chat="$performer chat $model -t 0 -q --attention favor"
    say 'hello hat\n' $model -t 0 -q --attention favor -n 12
    cp "$tmp/out" "$tmp/piped"
    at_terminal "$chat -n 12" 'hello hat\n' '/state\n' '\033[A\n' '\004'
    match "terminal: an answer" "^$(head -1 "$tmp/piped" | sed 's/[][\.*^$]/./g')\$" "$out"
    equal "terminal: the arrow recalls the previous line" 2 "$(grep -c 'tokens read' <<<"$out")"
    at_terminal "$chat -n 12" '/statx\177e\n' '\004'
    equal "terminal: a typing error is corrected" 1 "$(grep -c 'tokens read' <<<"$out")"
    at_terminal "$chat -n 12" 'tte\033[D\033[Da\001/s\n' '\004'
    equal "terminal: the arrow and ^A move the cursor, and typing inserts" 1 \
        "$(grep -c 'tokens read' <<<"$out")"
    at_terminal "$chat -n 100000000" 'hello hat\n' '\003' '/state\n' '\004'
    equal "terminal: Ctrl-C stops the answer, and the chat goes on" 1 \
        "$(grep -c 'tokens read' <<<"$out")"
    at_terminal "$chat -n 12" 'throw this away\003' '/state\n' '\003\003' '\004'
    match "terminal: Ctrl-C discards a line" '^0 tokens read' "$out"
    at_terminal "stty -a >$tmp/before; $chat -n 12; stty -a >$tmp/after" 'hello hat\n' '\003' '\004'
    check "terminal: is restored after Ctrl-D" cmp "$tmp/before" "$tmp/after"
    told="sh -c 'echo \$\$ >$tmp/pid; exec $chat'" # tells its process id first
    at_terminal "stty -a >$tmp/before; $told; stty -a >$tmp/after" 'hello' WAIT &
    await grep -q hello "$tmp/out"
    kill -TERM "$(cat "$tmp/pid")"
    touch "$tmp/go"
    wait
    check "terminal: ... and after SIGTERM" cmp "$tmp/before" "$tmp/after"
else
    skip "at a terminal" "no script (bsdutils) here"
fi

# With a real model: the answer in the golden file.
smollm=models/downloads/smollm2-135m-instruct.gguf
golden=$data/models/smollm2-135m-instruct/golden_greedy.json
[ -f $smollm ] || smollm=../downloads/smollm2-135m-instruct.gguf
if [ -f $smollm ] && [ -f "$golden" ]; then
    ids=$(tr -d '\n' <"$golden" | grep -o '"chat".*"plain"' |
        grep -o '"greedy_tokens": *\[[^]]*' | tr -cd '0-9 ')
    wanted=$(tr -s ' ' '\n' <<<"$ids" | "$performer" tokenize $smollm --decode)
    say 'What is gravity?\nWho found it?\n' $smollm -t 0 -q --float-activations -n 100
    equal "SmolLM2: What is gravity?" "${wanted%<|im_end|>}" "$(head -1 <<<"$out")"
    match "SmolLM2: the second turn knows the first" 'Newton' "$(tail -n +2 <<<"$out")"
else
    skip "SmolLM2: What is gravity?" "make smollm2 was not run"
fi

# Ten turns of a real dialogue in constant memory, after a quick calibration.
if [ -f $smollm ]; then
    head -c 6000 models/weights/sample.txt >"$tmp/text.txt"
    run calibrate $smollm --file "$tmp/text.txt" --no-fit --no-budget --window 64 --features 64 \
        --length 256 --texts 2 -o "$tmp/calibrated.gguf" -q
    equal "SmolLM2: calibrates" "0 " "$code $err"
    ten_turns "SmolLM2, calibrated" "$tmp/calibrated.gguf" -n 40
    match "... that make sense" 'physics|force|mass' "$(head -1 <<<"$out")"
    match "... the second about the subject of the first" 'Newton' "$(sed -n 2p <<<"$out")"
    match "... under Performer attention" 'tokens read, favor attention' \
        "$(grep 'tokens read' <<<"$err" | tail -1)"
else
    skip "SmolLM2: ten turns under calibrated Performer attention" "make smollm2 was not run"
fi

printf 'the hat\n/state\n' >"$tmp/in"
run chat tests/fixtures/families/llama.gguf --raw -n 5 -t 0 <"$tmp/in"
match "/state: the part in use, and the speed of the last answer" \
    'state [0-9.]+ k?B of [0-9.]+ [kM]?B; .*' "$err"
match "... with the time to its first token" \
    '^last answer: first token after [0-9.]+ m?s; [1-5] tokens?, [0-9.]+ tokens/s, [0-9.]+ GB/s$' \
    "$err"

echo "my notes" >"$tmp/notes.txt"
printf 'the hat\n/save %s\n' "$tmp/notes.txt" >"$tmp/in"
run chat tests/fixtures/families/llama.gguf --raw -n 5 -t 0 -q <"$tmp/in"
match "/save over another kind of file: no advice that chat cannot follow" \
    'is not a saved state; name another file$' "$err"
equal "... and the file is as it was" "my notes" "$(cat "$tmp/notes.txt")"
