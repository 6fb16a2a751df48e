# tests/tap.sh - TAP for shell tests: source it, then report each case with one of these.
#
#   . tests/tap.sh
#   ok "what was shown"                     not_ok "what should have been" "detail ..."
#   skip "what" "why"                       check "what" COMMAND ARGUMENTS...
#   equal "what" "$expected" "$actual"      match "what" 'extended regex' "$text"
#
# Tests run from the repository root. $performer is the program under test, $tmp an empty folder
# that is removed at the end. The plan (1..N) is printed at exit.
# shellcheck shell=bash disable=SC2034,SC2154
set -u

performer=${PERFORMER:-./performer}
tmp=$(mktemp -d)
tap_cases=0
trap 'tap_code=$?; rm -rf "$tmp"; echo "1..$tap_cases"; exit $tap_code' EXIT

ok() {
    tap_cases=$((tap_cases + 1))
    echo "ok $tap_cases - $1"
}

not_ok() {
    tap_cases=$((tap_cases + 1))
    echo "not ok $tap_cases - $1"
    shift
    [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/# /'
}

skip() {
    tap_cases=$((tap_cases + 1))
    echo "ok $tap_cases - $1 # SKIP $2"
}

# The command must succeed; if it does not, what it printed is shown.
check() {
    local what=$1 said code
    shift
    said=$("$@" 2>&1)
    code=$?
    if ((code == 0)); then ok "$what"; else not_ok "$what" "exit $code: $*" "$said"; fi
}

equal() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "expected: $2" "actual:   $3"; fi
}

match() {
    if printf '%s\n' "$3" | grep -qE -- "$2"; then
        ok "$1"
    else
        not_ok "$1" "no match for: $2" "in: $3"
    fi
}
