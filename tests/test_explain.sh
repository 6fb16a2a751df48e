#!/usr/bin/env bash
# tests/test_explain.sh - explain: every family, layer and head, its numbers against those of eval.
. tests/lib.sh

families=tests/fixtures/families
text="the hat and the cat sat on a mat"

# Lines of more than 80 characters (not bytes), and numbers that are not numbers.
too_wide() { LC_ALL=C.UTF-8 grep -E '^.{81}'; }
no_numbers() { grep -inwE 'nan|-nan|inf|-inf|infinity'; }

# "  in FILE: FUNCTION": the function must be defined there.
lost_functions() {
    sed -nE 's/^ +in ([a-z0-9_\/]+\.c): ([a-z0-9_]+)$/\1 \2/p' | sort -u |
        while read -r file function; do
            grep -qE "^[a-z].*\b$function\(" "$file" || echo "$file: $function"
        done
}

# The steps of a run, each with the functions that it names: "TITLE<tab>FILE<tab>FUNCTION".
named_functions() {
    awk '/^[0-9]+\. / { title = $0; sub(/^[0-9]+\. /, "", title) }
        /^ +in [a-z0-9_\/]+\.c: / { sub(/:$/, "", $2); print title "\t" $2 "\t" $3 }'
}
# The lines of a function: body FILE FUNCTION
body() {
    awk -v name="$2" '!on && /^[a-z]/ && index($0, name "(") { on = 1 }
        on; on && /^}/ { exit }' "$1"
}

# A step must name a function that computes it: one whose body says what is listed below. Prints the
# steps that are missing, and those that name only other functions.
wrong_functions() { # FILE, what named_functions printed
    local title needed step file function found there
    while IFS='|' read -r title needed; do
        found='' there=''
        while IFS=$'\t' read -r step file function; do
            [[ $step == *$title* ]] || continue
            there=yes
            body "$file" "$function" | grep -E -- "$needed" >/dev/null && found=yes
        done <"$1"
        [ -n "$there" ] || echo "no step: $title"
        [ -n "$found" ] || echo "$title: no function says $needed"
    done <<'STEPS'
text to tokens|add_bos
token to a vector|embedding
norm before attention|rms_norm
Query, key and value|layer->k
Where the token stands|angles
Exact attention|exp
random features instead|omega
S and z|z\[m\]
side by side|den
residual stream, and the MLP|layer->down
next token|logits
orthogonal|orthogonal
STEPS
}

# The best logits under softmax and favor in the JSON of explain against eval --logits.
best_logits_agree() { # MODEL IDS-FILE ATTENTION
    "$performer" explain "$1" --tokens "$2" --json >"$tmp/explain.json" || return 1
    "$performer" eval "$1" --tokens "$2" --attention "$3" --logits "$tmp/logits" -q >/dev/null ||
        return 1
    vocabulary=$(($(stat -c %s "$tmp/logits") / 4 / $(wc -w <"$2")))
    od -An -v -tf4 -w4 "$tmp/logits" | tail -n "$vocabulary" >"$tmp/last"
    tr -d ' \n' <"$tmp/explain.json" |
        grep -oE "\"$3\":\{\"weights\":\[[^]]*\],\"out\":\[[^]]*\],\"best\":\[[^]]*\]" |
        sed 's/.*"best"://' | grep -oE '"id":[0-9]+,"logit":[-0-9.e+]+' |
        sed -E 's/"id":([0-9]+),"logit":(.*)/\1 \2/' |
        awk -v last="$tmp/last" '
            BEGIN {
                while ((getline line < last) > 0) {
                    logit[n++] = line; if (n == 1 || line > top) top = line
                }
            }
            { d = logit[$1] - $2; if (d < 0) d = -d
              if (d > 1e-4 * (1 + (top < 0 ? -top : top))) exit bad = 1
              if (NR == 1 && logit[$1] < top - 1e-4) exit bad = 1 }
            END { exit bad || NR == 0 }'
}

for model in "$families"/*.gguf; do
    name=$(basename "$model" .gguf)
    run explain "$model" -p "$text"
    equal "$name: exit 0, nothing on stderr" "0 " "$code $err"
    equal "$name: fits 80 columns" "" "$(too_wide <"$tmp/out")"
    equal "$name: all numbers are numbers" "" "$(no_numbers <"$tmp/out")"
    match "$name: from tokens" '^1\. From text to tokens' "$out"
    match "$name: to what it costs" '^1[0-9]\. What it costs' "$out"
    equal "$name: the functions named are there" "" "$(lost_functions <"$tmp/out")"
    [ "$name" = llama ] && cp "$tmp/out" "$tmp/llama"
    check "$name: logits under softmax as eval's" \
        best_logits_agree "$model" "$families/$name.tokens.txt" softmax
    check "$name: logits under favor as eval's" \
        best_logits_agree "$model" "$families/$name.tokens.txt" favor
done

named_functions <"$tmp/llama" >"$tmp/steps"
equal "the functions named compute what their steps say" "" "$(wrong_functions "$tmp/steps")"

# Every layer and head; what leads; maps; windows.
model=$families/llama.gguf
for layer in 0 1; do
    for head in 0 1 2 3; do
        run explain $model -p "$text" --layer $layer --head $head
        match "layer $layer, head $head" "in layer $layer, head $head\." \
            "$(tr '\n' ' ' <"$tmp/out")"
        equal "... fits, and holds numbers" "" "$(too_wide <"$tmp/out")$(no_numbers <"$tmp/out")"
    done
done
for map in positive hyperbolic trig trig-offset relu elu favor++; do
    run explain $model -p "$text" --map $map
    equal "--map $map" "0 " "$code $err"
    equal "... fits, and holds numbers" "" "$(too_wide <"$tmp/out")$(no_numbers <"$tmp/out")"
done
run explain $model -p "$text" --window 4 --sinks 1
match "a window: each token's part (sink, window, tail) is shown" '0 "<s>".* sink' "$out"
match "... the tail as well" ' tail' "$out"
run explain $model -p "$text" --window 400
match "a window longer than the text: S and z are empty, and it says so" 'still empty.*--window 0' \
    "$(tr '\n' ' ' <"$tmp/out")"
equal "... all numbers are numbers" "" "$(no_numbers <"$tmp/out")"
run explain $model -p "$text" --to favor
match "--to favor" 'follows Performer attention' "$(tr '\n' ' ' <"$tmp/out")"
first=$out
run explain $model -p "$text" --to favor --step </dev/null
equal "--step without a terminal does not wait" "$first" "$out"
run explain $model -p "$text" --to favor --threads 1
equal "the numbers do not depend on --threads" "$first" "$out"
run explain $model
equal "without a text: the shipped one" 0 "$code"

# Under favor, the output is what S and z give: out = phi(q) S / phi(q).z
run explain $model -p "$text" --json
array() {
    tr -d ' \n' <"$tmp/out" | grep -oE "\"$1\":\[[^]]*\]" | tail -1 | tr '[],' '\n' |
        grep -E '^[-0-9]'
}
equal "--json: a weight for each token, summing to 1" 1 \
    "$(array weights | awk '{ s += $1 } END { print int(1e4 * s + 0.5) / 1e4 }')"
tr -d ' \n' <"$tmp/out" | sed 's/.*"favor"://' >"$tmp/favor"
equal "--json: the sums S and z give the output" "" \
    "$(paste <(grep -oE '"out":\[[^]]*\]' "$tmp/favor" | head -1 | tr '[],' '\n' | grep '[0-9]') \
        <(array tail_out) | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-3) print }')"

# --estimate: for every unbiased map, the mean is within 4 standard errors of what it estimates
for map in positive hyperbolic trig trig-offset favor++; do
    run explain $model -p "$text" --estimate --draws 2000 --map $map --json
    equal "--estimate --map $map" "0 " "$code $err"
    tr -d ' \n' <"$tmp/out" | sed 's/.*"running"://; s/,"rows".*//' | tr '{' '\n' |
        grep '"draws":2000' |
        sed 's/.*"mean":\([^,]*\),"standard_error":\([^}]*\).*/\1 \2/' >"$tmp/means"
    equal "... both kinds of projection are unbiased" 2 \
        "$(awk '{ d = $1 - 1; if (d < 0) d = -d; if ($2 > 0 && d < 4 * $2) n++ }
            END { print n }' "$tmp/means")"
done
run explain $model -p "$text" --estimate --draws 50
equal "--estimate fits, and holds numbers" "" "$(too_wide <"$tmp/out")$(no_numbers <"$tmp/out")"
match "--estimate: elu + 1 beside it" 'elu\+1' "$out"
refused "--estimate with a map that does not estimate e^score" 1 \
    'does not estimate.*--map positive' explain $model -p "$text" --estimate --map elu

# Errors.
refused "a layer out of range" 1 '--layer 2 is out of range.*2 layers, 0 to 1' \
    explain $model --layer 2
refused "a head out of range" 1 '--head 4 is out of range.*4 heads, 0 to 3' \
    explain $model --head 4
refused "one token alone" 1 'longer one with -p' explain $model -p ""
refused "two texts" 2 'more than one text' explain $model -p a --file b
long=$(printf 'word %.0s' {1..600})
refused "a long text" 1 'explain shows texts of up to 512' explain $model -p "$long"
refused "more tokens than learned positions" 1 'has only 64 positions' \
    explain $families/gpt2.gguf -p "$(printf 'word %.0s' {1..80})"
refused "an unknown --to" 2 '--to takes favor or softmax' explain $model --to local
refused "--attention is not an option here" 2 '--attention is not an option of this command' \
    explain $model --attention favor

# Calibrated and fitted checkpoints, if the program can make them.
if "$performer" --help | grep -q '^  calibrate '; then
    for fit in "" --no-fit; do
        "$performer" calibrate models/weights/tales-softmax.gguf --file models/weights/sample.txt \
            --window 4 --features 16 --sinks 1 $fit -o "$tmp/calibrated.gguf" >/dev/null 2>&1
        run explain "$tmp/calibrated.gguf" --layer 2 --head 1
        equal "calibrated ${fit:-and fitted}: exit 0" "0 " "$code $err"
        equal "... fits, and holds numbers" "" "$(too_wide <"$tmp/out")$(no_numbers <"$tmp/out")"
        run explain "$tmp/calibrated.gguf" --estimate --draws 50
        equal "... --estimate" "0 " "$code $err"
    done
else
    skip "calibrated checkpoints" "this program has no calibrate"
fi
