#!/usr/bin/env bash
# tests/test_completion.sh - what bash and zsh complete, from the script of performer --completion.
. tests/lib.sh

run --completion bash
equal "a script for bash" "0 " "$code $err"
check "... which bash can read" bash -n "$tmp/out"
cp "$tmp/out" "$tmp/performer.bash"
complete() { # WORDS...: what the last word may become
    COMPLETION=$tmp/performer.bash bash --norc -c '
        . "$COMPLETION"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _performer
        printf "%s\n" "${COMPREPLY[@]}" | sort | xargs' bash "$@"
}
equal "commands" "calibrate chat compare convert" "$(complete performer c)"
equal "options of the command" "--repeat-last-n --repeat-penalty" \
    "$(complete performer generate x.gguf --repeat-)"
equal "... and of it alone" "" "$(complete performer inspect x.gguf --repeat-)"
equal "values" "favor local softmax" "$(complete performer chat --attention "")"
equal "... begun" softmax "$(complete performer chat --attention so)"
equal "... behind =" f16 "$(complete performer chat --kv = f1)"
equal "no values where any text may stand" "" "$(complete performer chat --system "")"
touch "$tmp/story one.txt"
equal "files" "$tmp/story one.txt" "$(complete performer generate -f "$tmp/sto")"
equal "... models too" "$tmp/story one.txt" "$(complete performer generate "$tmp/sto")"
lacking=
for command in $("$performer" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    for option in $("$performer" "$command" --help | grep -oE '^ +(-., )?--[a-z0-9-]+' |
        grep -oE -- '--.*'); do
        [[ " $(complete performer "$command" "$option") " == *" $option "* ]] ||
            lacking+=" $command $option"
    done
done
equal "every option that --help shows" "" "$lacking"
refused "another shell" 2 'bash or zsh' --completion fish
refused "no shell" 2 'bash or zsh' --completion

run --completion zsh
equal "a script for zsh" "0 " "$code $err"
if ! command -v zsh >/dev/null || ! command -v tmux >/dev/null; then
    skip "completion in zsh" "no zsh or no tmux here (Debian: apt-get install zsh tmux)"
    exit 0
fi
check "... which zsh can read" zsh -n "$tmp/out"
mkdir "$tmp/functions"
cp "$tmp/out" "$tmp/functions/_performer"
mux() { tmux -S "$tmp/tmux" -f /dev/null "$@"; }
shows() { mux capture-pane -p -t zsh | grep -qE -- "$1"; }
seen() {
    if await shows "$2"; then ok "$1"
    else not_ok "$1" "no match for: $2" "$(mux capture-pane -p -t zsh)"; fi
}
mux new-session -d -s zsh -x 100 -y 40 "PS1='zsh: ' zsh -f"
await shows '^zsh:'
mux send-keys -t zsh "fpath=($tmp/functions \$fpath); autoload -U compinit" \
    "; compinit -u -d $tmp/dump; clear; echo ready" Enter
await shows '^ready'
mux send-keys -t zsh "performer gen" Tab
seen "zsh: a command" 'performer generate'
mux send-keys -t zsh -- --tempe Tab
seen "... an option" 'performer generate --temperature'
mux send-keys -t zsh C-u "performer chat --attention l" Tab
seen "... a value" 'performer chat --attention local'
mux send-keys -t zsh C-u "performer generate --repeat-" Tab Tab
seen "... the help of options" 'repeat-last-n.* -- +How many tokens'
mux send-keys -t zsh C-u "performer generate $tmp/sto" Tab
seen "... a file" 'story.* one.txt'
mux kill-server
