#!/usr/bin/env bash
# tests/test_explain_page.sh - explain --html: the file by itself, and in a browser (Chromium).
. tests/lib.sh

families=tests/fixtures/families
page=$tmp/page.html
run explain models/weights/tales-favor.gguf --layer 1 --head 2 --html "$page"
equal "--html: exit 0, nothing on stdout" "0 " "$code $out"
match "... and where to look, on stderr" "^$page is written; open it in a browser$" "$err"
check "the file is smaller than 1 MB" test "$(stat -c %s "$page")" -lt 1000000
equal "it loads nothing from elsewhere" 0 \
    "$(grep -cE '(src|href)="?(https?:|//)|@import|url\(|fetch\(|XMLHttp' "$page")"
for id in next heads one state; do
    check "there is a section $id" grep -q "<section id=\"$id\"" "$page"
done
equal "no id is there twice" "" "$(grep -oE ' id="[^"]+"' "$page" | sort | uniq -d)"
equal "a pair of maps for every head" 16 "$(grep -c '<a class="pair"' "$page")"
run explain models/weights/tales-favor.gguf --html "$page" --json -q
equal "--html over an earlier page, with --json: exit 0, nothing on stderr" "0 " "$code $err"
match "... and the numbers on stdout" '^  "softmax": \{' "$out"

# the content of a text is shown, not run
run explain $families/llama.gguf -p '</script><b>the hat</b>&<script>' --html "$page" -q
equal "hostile text: exit 0" 0 "$code"
equal "markup in a text is escaped" 0 "$(grep -c '<b>' "$page")"
equal "... in the numbers, too: four scripts begin, and four end" "4 4" \
    "$(grep -o '<script' "$page" | wc -l) $(grep -o '</script>' "$page" | wc -l)"

for family in gpt2 gemma3 qwen3 llama-sliding phi2; do
    run explain $families/$family.gguf -p "the hat and the cat" --html "$page" -q
    equal "$family: exit 0" "0  " "$code $out $err"
done
long=$(printf 'the hat %.0s' {1..60})
refused "a text too long for a page" 1 'tokens; the page of --html shows texts of up to 128' \
    explain $families/llama.gguf -p "$long" --html "$tmp/none.html"
check "... leaves nothing behind" test ! -e "$tmp/none.html"
refused "a folder that is not there" 1 'missing' explain $families/llama.gguf -p "the hat" \
    --html "$tmp/missing/page.html"
refused "--estimate with --html" 2 'give --estimate or --html, not both' \
    explain $families/llama.gguf -p "the hat" --html "$tmp/none.html" --estimate

large=()
smollm2=models/downloads/smollm2-135m-instruct.gguf
if [ -e $smollm2 ]; then
    text=$(head -c 240 models/weights/sample.txt)
    large=("$smollm2" "$text")
    begin=$(date +%s%N)
    run explain $smollm2 -p "$text" --layer 3 --head 2 --html "$page" -q
    seconds=$((($(date +%s%N) - begin) / 1000000000))
    equal "SmolLM2: exit 0" 0 "$code"
    check "... in $seconds s" test $seconds -lt "${PF_TEST_SLOW:-20}"
    check "... smaller than 3 MB" test "$(stat -c %s "$page")" -lt 3000000
    check "... with all maps" test "$(grep -c '<a class="pair"' "$page")" = 270
else
    skip "SmolLM2's page" "make smollm2 fetches it"
fi

# ---- in a browser
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    skip "the page in a browser" "no chromium"
    exit
fi
relayed "the browser did all of it" \
    python3 tests/check_explain_page.py "$performer" "$tmp" "${large[@]}"
