#!/usr/bin/env bash
# tests/test_chat_terminal.sh - chat in a real terminal (tmux): keys, pastes, history, Ctrl-Z.
. tests/lib.sh

# ---- through a pipe: what needs no terminal
model=tests/fixtures/families/llama.gguf tales=models/weights/tales-favor.gguf
say() { # "lines" OPTIONS... -> $code, $out, $err
    printf '%b' "$1" | "$performer" chat "${@:2}" >"$tmp/out" 2>"$tmp/err"
    code=${PIPESTATUS[1]}
    out=$(cat "$tmp/out")
    err=$(cat "$tmp/err")
}
read_by() { # "lines": the ids that the first turn of these lines reads
    say "$1/ids\n" $model -n 0 -q
    head -1 <<<"$err"
}
three=$("$performer" tokenize $model --ids --bos -p $'one\ntwo\nthree')
equal "a backslash at the end of a line continues it" "$three" "$(read_by 'one\\\ntwo\\\nthree\n')"
equal 'so does a block from """ to """' "$three" "$(read_by '"""\none\ntwo\nthree\n"""\n')"
equal '... or on one line' "$three" "$(read_by '"""one\ntwo\nthree"""\n')"
slash=$("$performer" tokenize $model --ids --bos -p "/reset")
equal 'a command in """ is a text' "$slash" "$(read_by '"""/reset"""\n')"
say 'hello hat\n/reset\n/clear\n/retry\n/state\n' $model -n 3 -t 0
equal "/reset and /clear confirm" 2 "$(grep -c 'the dialogue is forgotten' <<<"$err")"
match "... and then there is nothing to retry" 'no answer to try again' "$err"
for command in "/reset all" "/exit now" "/retry x" "/state 1" "/help me"; do
    say "$command\n" $model -q
    match "$command is refused" "${command%% *} takes nothing behind it" "$err"
done
for command in /exit /quit /bye; do
    say "$command\nhello\n" $model -n 3 -t 0 -q
    equal "$command ends the chat" "0 " "$code $out"
done
say 'hello hat\nand\n/retry\n/ids\n' $model -n 6 -t 0 -q
equal "/retry: the same answer, without chance" "$(sed -n 2p "$tmp/out")" "$(sed -n 3p "$tmp/out")"
ids=$(head -1 <<<"$err")
say 'hello hat\nand\n/ids\n' $model -n 6 -t 0 -q
equal "... and the dialogue is what it was" "$ids" "$(head -1 <<<"$err")"
say 'hello hat\n/retry\n' $model -n 12 -t 3 -q -s 5
equal "... by chance another one" 2 "$(sort -u "$tmp/out" | wc -l)"
say 'hello hat\n' $model -n 12 -t 0 -q
greedy=$out
say '/set temperature 0\nhello hat\n/set\n' $model -n 12 -t 3
equal "/set temperature 0" "$greedy" "$out"
match "... is what /set shows" '^temperature +0$' "$err"
say '/set tokens 2\n/set top-k=x\n/set nothing 3\n/set top-p\nhello hat\n/state\n' $model -t 0
match "/set tokens" '^12 tokens read' "$err"
match "a bad value: what is allowed" 'top-k takes a whole number' "$err"
match "an unknown name" 'nothing cannot be set' "$err"
match "a missing value" 'needs a name and a value' "$err"
say '/set seed 7\nOnce upon\n/reset\n/set seed 7\nOnce upon\n' $tales -n 9 -t 1 -q
equal "/set seed: the same text again" 1 "$(sort -u "$tmp/out" | wc -l)"
say "Once upon\n/save $tmp/s\nand\n/load $tmp/s\nand\n" $tales -n 9 -t 0 -q
equal "/load goes back to what was saved" "$(sed -n 2p "$tmp/out")" "$(sed -n 3p "$tmp/out")"
say "Once upon\n/load $tmp/nowhere\nand\n/reset\nOnce upon\nand\n" $tales -n 9 -t 0 -q
match "/load of a file that is not there" 'nowhere' "$err"
equal "... leaves the dialogue as it is" "$(sed -n 2p "$tmp/out")" "$(sed -n 4p "$tmp/out")"
cp $model "$tmp/model.gguf"
say "hello hat\n/save $tmp/model.gguf\n" "$tmp/model.gguf" -n 3 -q
check "/save does not overwrite the model" cmp $model "$tmp/model.gguf"
say "and\n/save $tmp/s\n" $tales -n 3 -q --load-state "$tmp/s"
equal "... but the state that was loaded" "0 " "$code $err"
say '/system Be brief.\nhello\n/text\n/system\n' $model -n 1 -q
match "/system without a template: before the first text, not dropped" 'Be brief\.~~hello' \
    "$(tr '\n' '~' <<<"$err")"
match "/system alone shows it" 'the system prompt is: Be brief\.$' "$err"
say '/system\n' $model -q
match "... or that there is none" 'there is no system prompt' "$err"
say 'hello hat\n' $model -n 40 -t 0 -q --stop "${greedy:3:2}"
equal "--stop ends an answer" "${greedy%%"${greedy:3:2}"*}" "$out"

# ---- a real terminal
if ! command -v tmux >/dev/null; then
    skip "chat in a terminal" "no tmux here (Debian: apt-get install tmux)"
    exit 0
fi
export XDG_STATE_HOME=$tmp/state
socket=$tmp/tmux
mux() { tmux -S "$socket" -f /dev/null "$@"; }
screen() { mux capture-pane -p -t chat; }
shows() { screen | grep -qE -- "$1"; }
seen() { # "what" 'regex': the screen comes to show it
    if await shows "$2"; then ok "$1"; else not_ok "$1" "no match for: $2" "$(screen)"; fi
}
at_prompt() { screen | sed '/^$/d' | tail -1 | grep -qE '^> *$'; }
keys() { # KEYS...: typed at the prompt of an empty line
    await at_prompt
    mux send-keys -t chat "$@"
}
start() { # COMMAND
    mux new-session -d -s chat -x 50 -y 30 "PS1='sh% ' HISTFILE=/dev/null bash --norc --noprofile"
    await shows '^sh%'
    mux send-keys -t chat "$1" Enter
}
finish() { mux kill-server; }
chat="$performer chat $tales -t 0 -n 40"

start "clear; $chat"
seen "a banner tells model, attention and context" 'tales-favor.gguf: favor attention'
keys "Once upon a time" Enter
await at_prompt
answer=$("$performer" generate $tales -t 0 -n 40 -p "Once upon a time" -q --no-echo)
equal "the answer wraps at words" \
    "$(awk '{ line = $1
        for (i = 2; i <= NF; i++)
            if (length(line) + 1 + length($i) > 49) { print line; line = $i }
            else line = line " " $i
        print line }' <<<"$answer")" "$(screen | sed -n '/^, there/,/^>/p' | sed '$d; s/ *$//')"
keys "half a li"
await shows '^> half a li$'
mux send-keys -t chat C-z
seen "Ctrl-Z: the shell is back" '^sh% $|^sh%$'
mux send-keys -t chat fg Enter
seen "fg: the prompt is drawn again, with what was typed" '^> half a li$'
drawn_twice() { [ "$(screen | grep -cE '^> half a li$')" = 2 ]; }
await drawn_twice
mux send-keys -t chat ne Enter
await at_prompt
keys "/text" Enter
seen "... and the line goes on" 'half a line'
keys C-l
lacks() { ! shows "$1"; }
await lacks text
printf 'the first\nsecond one\nthird\n' >"$tmp/paste"
mux load-buffer "$tmp/paste"
mux paste-buffer -p -t chat
seen "a pasted text of three lines waits for Enter" '^third *$'
equal "... at one prompt" 1 "$(screen | grep -c '^>')"
mux send-keys -t chat Enter
await at_prompt
keys C-l
await lacks third
keys "/retry" Enter
await at_prompt
keys "/text" Enter
seen "... and is one turn" '^second one$'
keys "/retr" Tab Enter
await at_prompt
keys C-l "/set tem" Tab "0.25" Enter
seen "Tab completes commands and settings" '^> /set temperature 0.25'
seen "... which work" '^temperature is 0.25$'
keys "/re" Tab
seen "Tab lists what it may be" '^/reset +/retry$'
mux send-keys -t chat C-a C-k
keys C-d
seen "Ctrl-D: the shell's prompt is on its own line" '^sh% *$'
finish

history=$XDG_STATE_HOME/performer/history
equal "the history is private" "600 700" "$(stat -c %a "$history" | xargs) $(stat -c %a \
    "$XDG_STATE_HOME/performer")"
match "... and keeps a text of several lines as one entry" '^the first.nsecond one.nthird$' \
    "$(cat "$history")"
start "clear; $chat"
keys Up
seen "another chat: the arrow recalls the last line" '^> /set temperature 0.25$'
mux send-keys -t chat C-a C-k
keys /exit Enter
seen "/exit" '^sh% *$'
finish
before=$(cat "$history")
start "clear; $chat --no-history"
keys Up
keys "/state" Enter
seen "--no-history: nothing is recalled" '^> /state$'
finish
equal "... or written" "$before" "$(cat "$history")"
