#!/usr/bin/env bash
# tests/test_golden.sh - real checkpoints from ../shared: golden texts, logits and ids.
. tests/lib.sh

stories=$data/models/stories260K
baby=$data/models/babyllama-tok105
if [ ! -d "$stories" ]; then
    skip "golden texts of real checkpoints" "$stories is not there"
    exit
fi

"$performer" convert "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" \
    -o "$tmp/s.gguf" -q
"$performer" convert "$baby/model5000.bin" --tokenizer "$baby/tok105.bin" -o "$tmp/b.gguf" -q

# golden "what" FILE ARGUMENTS...: generate writes the file, byte for byte
golden() {
    local what=$1 file=$2
    shift 2
    "$performer" generate "$@" -t 0 --attention softmax -q >"$tmp/out"
    check "$what" cmp "$tmp/out" "$file"
}
golden "stories260K, greedy" "$stories/golden_greedy_n200.txt" "$tmp/s.gguf" -n 200
golden "stories260K, greedy, one thread" "$stories/golden_greedy_n200.txt" \
    "$tmp/s.gguf" -n 200 --threads 1
golden "stories260K, prompted" "$stories/golden_greedy_n256_prompt.txt" \
    "$tmp/s.gguf" -n 256 -p "One day, Tom and his dog"
golden "the published GGUF, as it is" "$stories/golden_greedy_n200.txt" \
    "$stories/stories260Ktok512.gguf" -n 200 --context 512
golden "babyllama, prompted" "$baby/golden_greedy_n256_prompt.txt" \
    "$tmp/b.gguf" -n 256 -p "Once upon a time"

run eval "$tmp/s.gguf" --tokens "$stories/golden_logits_tokens.txt" --logits "$tmp/logits.f32" -q
close "stories260K, logits" 1e-3 "$tmp/logits.f32" "$stories/golden_logits_64x512.f32"
run eval "$tmp/b.gguf" --tokens "$baby/golden_logits_tokens.txt" --logits "$tmp/logits.f32" -q
close "babyllama, logits" 1e-3 "$tmp/logits.f32" "$baby/golden_logits_128x105.f32"

# llama2.c's ids; newlines in the texts are escaped, as in JSON
jsonl=$stories/golden_tok512.jsonl
if python3 - "$jsonl" "$tmp" 2>/dev/null <<'PYTHON'; then
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
with open(sys.argv[2] + "/texts", "w", encoding="utf-8", newline="\n") as texts:
    for row in rows:
        texts.write(row["text"].replace("\\", "\\\\").replace("\n", "\\n") + "\n")
with open(sys.argv[2] + "/ids", "w") as ids:
    for row in rows:
        ids.write(" ".join(map(str, row["llama2c"])) + "\n")
PYTHON
    "$performer" tokenize "$tmp/s.gguf" --ids --bos --no-special --file "$tmp/texts" --escape \
        >"$tmp/out"
    check "stories260K, ids of 28 texts" diff "$tmp/out" "$tmp/ids"
    # the first text is empty; the others must come back unchanged
    sed 's/^1 *//' "$tmp/ids" >"$tmp/plain"
    "$performer" tokenize "$tmp/s.gguf" --decode --escape --file "$tmp/plain" >"$tmp/out"
    check "stories260K, texts of the ids" diff "$tmp/out" "$tmp/texts"
else
    skip "stories260K, ids of 28 texts" "no python3 to read $jsonl"
fi

# truncated anywhere: a message and exit 1, never a signal
cut_everywhere() { # what FILE COMMAND... with @ for the cut file
    local what=$1 file=$2 bad="" size
    shift 2
    for ((size = 0; size < $(stat -c %s "$file"); size += 997 * stride)); do
        head -c $size "$file" >"$tmp/cut"
        run "${@/@/$tmp/cut}"
        if ((code != 1)) || [ -z "$err" ]; then bad+=" $size:$code"; fi
    done
    equal "$what" "" "$bad"
}
stride=${PF_TEST_STRIDE:-23}
cut_everywhere "stories260K.bin cut" "$stories/stories260K.bin" inspect @
cut_everywhere "the GGUF cut" "$tmp/s.gguf" inspect @
stride=1
cut_everywhere "tok512.bin cut" "$stories/tok512.bin" \
    convert "$stories/stories260K.bin" --tokenizer @ -o "$tmp/x.gguf"
