# tests/lib.sh - what the shell tests of the program share, on top of tap.sh. Source it from the
# repository root.
#
#   run generate model.gguf -n 5      -> $code, $out (stdout, without trailing newlines), $err
#   refused "what" CODE 'regex' ARGUMENTS...   exit CODE, nothing on stdout, one sentence on stderr
#   await COMMAND...                  tries COMMAND until it succeeds; gives up after 30 s
#   relayed "what" COMMAND...         its lines "ok X" and "not ok X" as cases, and that it succeeds
#   await worked PID 20               ... until the process has used 0.20 s of CPU time, or ended
# shellcheck shell=bash
. tests/tap.sh

# shellcheck disable=SC2034  # for the scripts that source this
data=${PF_SHARED_DATA:-../shared/data}

run() {
    "$performer" "$@" >"$tmp/out" 2>"$tmp/err"
    code=$?
    # shellcheck disable=SC2034
    out=$(cat "$tmp/out")
    err=$(cat "$tmp/err")
}

refused() {
    local what=$1 wanted=$2 pattern=$3
    shift 3
    run "$@"
    if ((code == wanted)) && [ ! -s "$tmp/out" ] && [ "$(wc -l <"$tmp/err")" = 1 ] &&
        printf '%s\n' "$err" | grep -qE -- "$pattern"; then
        ok "$what"
    else
        not_ok "$what" "performer $*" "exit $code, wanted $wanted and one line like: $pattern" \
            "stdout: $(head -c 200 "$tmp/out")" "stderr: $err"
    fi
}

relayed() {
    local what=$1 line finished=
    shift
    while read -r line; do
        case $line in
        "ok "*) ok "${line#ok }" ;;
        "not ok "*) not_ok "${line#not ok }" ;;
        "done") finished=yes ;;
        esac
    done < <("$@" 2>"$tmp/trouble" && echo "done")
    check "$what: $(tail -n 1 "$tmp/trouble")" test "$finished" = yes
}

await() {
    local end=$((SECONDS + 30))
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.02
    done
}

# CPU time of a process in hundredths of a second.
cpu_time() {
    awk -v second="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 100 / second) }' \
        "/proc/$1/stat" 2>/dev/null
}

worked() {
    local used
    used=$(cpu_time "$1") || return 0
    ((used >= $2))
}

# Runs the program and presses Ctrl-C once it has worked for so many hundredths of a second:
# interrupted_after 15 generate ... sets code; what it prints is in $tmp/out and $tmp/err.
# (background jobs ignore SIGINT unless job control is on)
interrupted_after() {
    local work=$1 pid
    shift
    set -m
    "$performer" "$@" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    set +m
    await worked $pid "$work"
    kill -INT $pid
    wait $pid 2>/dev/null
    code=$?
}

# Largest |a - b| over two files of float32; "sizes differ" if they do.
largest_difference() {
    [ "$(stat -c %s "$1")" = "$(stat -c %s "$2")" ] || { echo "sizes differ"; return; }
    paste <(od -An -v -tf4 -w4 "$1") <(od -An -v -tf4 -w4 "$2") |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= max)) max = d } END { print max + 0 }'
}

# Two files of float32 must agree within a tolerance: close "what" 1e-3 FILE FILE
close() {
    local difference
    difference=$(largest_difference "$3" "$4")
    if awk -v d="$difference" -v t="$2" 'BEGIN { exit !(d ~ /^[0-9.e+-]+$/ && d + 0 <= t + 0) }'
    then ok "$1"; else not_ok "$1" "largest difference: $difference, allowed: $2"; fi
}

# The first number under a key of JSON: number KEY "$out"
number() { printf '%s\n' "$2" | grep -oE "\"$1\": ?[-0-9.e+]+" | head -1 | sed 's/.*: *//'; }
