#!/usr/bin/env bash
# tests/test_recall.sh - compare --recall: how far back each attention remembers; and --split.
. tests/lib.sh

tales=models/weights/tales-softmax.gguf

# ---- a model that copies, and no more: what it remembers is known
python3 tests/make_copier.py "$tmp/copier.gguf" "$tmp/copier.ids"
copier=("$tmp/copier.gguf" --tokens "$tmp/copier.ids" --continue 0)
ask() { # 'expression over r' "$json": e(setting, distance, key) is a value of recall[]
    printf '%s' "$2" | python3 -c '
import json, sys
r = json.load(sys.stdin)
def e(setting, distance, key, task="copy"):
    return next(x[key] for x in r["recall"]
                if (x["setting"], x["distance"], x["task"]) == (setting, distance, task))
print(eval("(" + sys.argv[1] + ")"))' "$1"
}
run compare "${copier[@]}" --recall 8,32,128,256 --against softmax --against local,window=100 \
    --against local,window=200 --against local,window=16 --json
equal "--recall: exit 0, nothing on stderr" "0 " "$code $err"
json=$out
# A passage of 64 tokens at distance d is 64 + d tokens back.
equal "the radius of softmax, of itself, and of windows of 100, 200 and 16" \
    "256 [256, 32, 128, None]" \
    "$(ask 'r["reference"]["recall_radius"], [s["recall_radius"] for s in r["settings"]]' "$json" |
        tr -d '()' | sed 's/, / /')"
equal "it copies under softmax" "True 1.0" \
    "$(ask 'e("softmax", 256, "loss") < 0.01, e("softmax", 256, "accuracy")' "$json" |
        tr -d '(),')"
equal "softmax keeps all of itself" "{1.0}" \
    "$(ask '{x["kept"] for x in r["recall"] if x["setting"] == "softmax"}' "$json")"
equal "a window that is too short keeps nothing" "True 0.0" \
    "$(ask 'e("local,window=100", 128, "loss") > 10, e("local,window=100", 128, "accuracy")' \
        "$json" | tr -d '(),')"
equal "without a tokenizer, only copies" "{'copy'}" \
    "$(ask '{x["task"] for x in r["recall"]}' "$json")"
run compare "${copier[@]}" --recall 128,32 --against local,window=100
match "the table: radius, KL, state, shares" \
    '^local,window=100 +32 +[0-9.]+ +[0-9.]+ kB +100% +[01]%$' "$out"
match "... of softmax" '^softmax +128\+ +[0-9.]+ kB +100% +100%$' "$out"
match "... and losses, in ascending order of distance" '^softmax +0.000 100% +0.000 100%$' "$out"
run compare "${copier[@]}" --recall 32 --against local,window=100 --csv
match "--csv" '^"local,window=100",copy,32,0.0[0-9]*,1.0000,,[0-9.]+,1.0000,3$' "$out"
run compare "${copier[@]}" --recall 32 --against local,window=100 --html "$tmp/report.html" \
    --seconds 1 -q
check "--html: a section" grep -q '<section id="recall">.*How far back it remembers' \
    "$tmp/report.html"
check "... with a link to it" grep -q '<a href="#recall">' "$tmp/report.html"
check "... and the numbers" grep -q '<td>32</td><td>[0-9.]*</td><td>100 %</td>' "$tmp/report.html"

# ---- distances and texts that do not fit
run compare "${copier[@]}" --recall 32,400 --against local,window=100 --json
match "distances beyond the text are left out, with a note" \
    'the text has 511 tokens, enough for distances up to 32' "$err"
equal "... and the rest is measured" "{32}" "$(ask '{x["distance"] for x in r["recall"]}' "$out")"
refused "no distance fits the text" 1 'the text has 511 tokens, but --recall needs 528' \
    compare "${copier[@]}" --recall 400
refused "no distance fits the context" 1 'no recall text fits into 256 tokens' \
    compare $tales --recall 400,300 --context 256 -q --against softmax --continue 0
refused "a distance that is no number" 2 '--recall takes whole numbers' \
    compare "${copier[@]}" --recall=near
refused "--recall with --scaling" 2 'give --scaling or --recall, not both' \
    compare $tales --recall --scaling

# ---- all tasks, on sentences that are made; the shipped model fails at them
run compare $tales --recall --continue 0 --json
equal "without a text: exit 0, nothing on stderr" "0 " "$code $err"
equal "... all tasks, at default distances up to the context" \
    "['copy', 'last seen', 'many keys', 'pass key'] [8, 32, 128]" \
    "$(ask 'str(sorted({x["task"] for x in r["recall"]})) + " " +
        str(sorted({x["distance"] for x in r["recall"]}))' "$out")"
equal "... under the checkpoint's own Performer attention only" "['favor']" \
    "$(ask '[s["name"] for s in r["settings"]]' "$out")"
equal "... every entry has its keys" "True" \
    "$(ask 'all({"setting", "task", "distance", "loss", "accuracy", "choice", "graded", "kept",
        "softmax_fails", "questions"} <= set(x) for x in r["recall"])' "$out")"
equal "what softmax cannot do is marked, and no share is given" "{(True, None)}" \
    "$(ask '{(x["softmax_fails"], x["kept"]) for x in r["recall"]
        if x["task"] == "pass key"}' "$out")"
first=$(ask 'r["recall"]' "$out")
run compare $tales --recall --continue 0 --json
equal "the same seed, the same numbers" "$first" "$(ask 'r["recall"]' "$out")"
run compare $tales --recall --continue 0 --json --seed 2
check "another seed, others" test "$first" != "$(ask 'r["recall"]' "$out")"
run compare $tales --recall --continue 0
match "a task that softmax fails at has an x" '^softmax +x 0/4 ' "$out"
match "... and the radius is unknown" '^favor +unknown ' "$out"

# ---- Ctrl-C
"$performer" compare $tales --recall 8,4000,8000,16000 --context 30000 --continue 0 \
    >"$tmp/out" 2>"$tmp/err" &
await worked $! 20
kill -INT $!
wait $!
equal "Ctrl-C: exit 1, one sentence, no numbers" "1 performer: interrupted 0" \
    "$? $(grep -v beyond "$tmp/err") $(stat -c %s "$tmp/out")"

# ---- a model that remembers more: pass keys by its chat template
smol=models/downloads/smollm2-135m-instruct.gguf
if [ -e $smol ]; then
    run compare $smol --recall 16 --context 256 --against local,window=8,sinks=1 --continue 0 \
        --json --file models/weights/sample.txt
    equal "SmolLM2 finds pass keys under softmax" "1.0 False" \
        "$(ask 'e("softmax", 16, "accuracy", "pass key"), e("softmax", 16, "softmax_fails",
            "pass key")' "$out" | tr -d '(),')"
    equal "... and none with a window of 8" "0.0 0.0" \
        "$(ask 'e("local,window=8,sinks=1", 16, "accuracy", "pass key"),
            e("local,window=8,sinks=1", 16, "kept", "pass key")' "$out" | tr -d '(),')"
else
    skip "SmolLM2 finds pass keys" "make smollm2"
fi

# ---- --split
printf 'Once upon a time.<|end|>The cat sat.<|end|>\n<|end|>A dog ran away.' >"$tmp/three.txt"
run eval $tales --file "$tmp/three.txt" --split '<|end|>' --json
equal "--split: three texts, without the empty one" 3 "$(number texts "$out")"
whole=$(ask 'round(r["loss"] * r["predicted"], 4), r["predicted"]' "$out")
parts=$(for text in "Once upon a time." "The cat sat." "A dog ran away."; do
    run eval $tales -p "$text" --json
    ask 'r["loss"] * r["predicted"], r["predicted"]' "$out"
done | tr -d '()' | awk -F, '{ loss += $1; n += $2 } END { printf "(%.4f, %d)", loss, n }')
equal "... each read as a text of its own" "$parts" "$whole"
run compare $tales --file "$tmp/three.txt" --split '<|end|>' --against softmax --continue 0 --json
equal "compare --split predicts the same tokens" "${whole##* }" "$(number predicted "$out"))"
run eval $tales --file "$tmp/three.txt" --split '###' --json
equal "... which is not there: one text" 1 "$(number texts "$out")"
refused "an empty --split" 2 '--split is empty' eval $tales -p x --split ""
refused "--split of token ids" 2 'not --tokens' eval $tales --tokens x --split y
refused "--split of nothing" 2 'no text is given' compare $tales --split y
