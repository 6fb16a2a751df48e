#!/usr/bin/env bash
# tests/test_peers.sh - scripts/peers: its table, with a stand-in for llama-bench; what llama.cpp is
# built for.
. tests/lib.sh

performer=$(realpath "$performer")
model=$PWD/tests/fixtures/families/llama.gguf

cat >"$tmp/llama-bench" <<'STANDIN'
#!/usr/bin/env bash
echo "$*" >>"$(dirname "$0")/calls"
case "$*" in
*"-p 512 -n 0 -d 0 "*) speed=1000 ;;
*"-p 0 -n 64 -d 64 "*) speed=200 ;;
*"-p 0 -n 64 -d 96 "*) speed=100 ;;
*) exit 3 ;;
esac
echo "[{\"avg_ts\": $speed}]"
STANDIN
chmod +x "$tmp/llama-bench"
peers() {
    scripts/peers --performer "$performer" --llama-bench "$tmp/llama-bench" --repeat 2 --depth 96 \
        --threads 1 "$@" >"$tmp/out" 2>"$tmp/err"
    code=$?
    out=$(cat "$tmp/out")
}

peers "$model"
equal "peers: exit 0" 0 "$code"
match "the columns" 'prefill 512 +decode 64 +behind 96 +peak memory' "$out"
match "performer's row" '^  performer +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+ MB$' "$out"
match "llama.cpp's row" '^  llama.cpp +1000.0 +200.0 +100.0 +[0-9]+ MB$' "$out"
equal "they take turns" "performer llama.cpp performer llama.cpp " \
    "$(grep -oE '(performer|llama.cpp)$' "$tmp/err" | tr '\n' ' ')"
equal "both use the same threads" 6 "$(grep -c -- '-t 1 ' "$tmp/calls")"
peers --json "$model"
equal "--json: the ratio in the table is that of the medians" "True" "$(python3 -c '
import json, sys
r, = json.load(open(sys.argv[1]))["results"].values()
print(r["llama.cpp"]["prefill"] == 1000 and r["performer"]["peak"] > 1e6)' "$tmp/out")"
peers "$tmp/nowhere.gguf"
match "a file that is not there" '^1 peers: .*nowhere.gguf is no file' "$code $(cat "$tmp/err")"
printf '#!/bin/sh\necho it broke >&2\nexit 3\n' >"$tmp/llama-bench"
peers "$model"
match "a peer that fails is named, with what it said" 'llama-bench.* failed: it broke' \
    "$(cat "$tmp/err")"
equal "... exit 1" 1 "$code"

# instruction_sets FLAG...: the options of cmake for a processor that lists these
instruction_sets() {
    python3 - "$@" <<'PYTHON'
import sys
from importlib.machinery import SourceFileLoader
sys.dont_write_bytecode = True
peers = SourceFileLoader("peers", "scripts/peers").load_module()
peers.cpu = lambda: ("", set(sys.argv[1:]))
print(*peers.instruction_sets())
PYTHON
}
equal "a processor without doubtful features: all of them" "-DGGML_NATIVE=ON" \
    "$(instruction_sets avx2 avx512f avx512_vnni 2>/dev/null)"
match "one that lists AMX: AVX-512 and VNNI only" 'NATIVE=OFF.*AVX512=ON.*AVX512_VNNI=ON$' \
    "$(instruction_sets avx512f avx512_vnni amx_tile 2>/dev/null)"
