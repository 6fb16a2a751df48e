#!/usr/bin/env bash
# tests/test_options.sh - the command line: errors (exit 2, one message), manuals, spellings.
. tests/lib.sh

model=tests/fixtures/families/llama.gguf

refused "unknown option names the nearest" 2 'unknown option --temprature.*--temperature' \
    generate $model --temprature 1
refused "swapped letters are near" 2 'nearest is --tokens' generate $model --tokesn 5
refused "the beginning of a name comes first" 2 '--tempera; the nearest is --temperature ' \
    generate $model --tempera 1
refused "several names with this beginning" 2 'the nearest are --top-k and --top-p ' \
    generate $model --top 1
refused "nothing is near" 2 'unknown option --foo \(see --help\)$' generate $model --foo 1
refused "unknown letter" 2 'unknown option -Z' generate $model -Z
refused "an option of another command" 2 '--top-k is not an option of this command' \
    eval $model --top-k 3 -p x
refused "unknown command names the nearest" 2 '"genrate".*generate' genrate $model
refused "the beginning of a command comes first" 2 '"gen"; the nearest is generate ' gen $model
refused "no command is near" 2 'unknown command "zzz" \(see performer --help\)$' zzz $model
refused "no model" 2 'no model is given' generate
refused "two models" 2 'one argument too many' generate $model b
refused "a missing value" 2 '--tokens needs a value' generate $model -n
refused "a value for a switch" 2 '--no-echo takes no value' generate $model --no-echo=1
refused "letters after a number" 2 '--tokens takes a whole number from 0 .*"12x"' \
    generate $model -n 12x
refused "overflow" 2 'not "99999999999999999999"' generate $model -n 99999999999999999999
refused "overflow that wraps around" 2 'not "18446744073709551617"' \
    generate $model -s 18446744073709551617
refused "negative count" 2 'not "-5"' generate $model -n -5
refused "empty number" 2 'not ""' generate $model --top-k=
refused "space before a number" 2 'not " 5"' generate $model -n ' 5'
refused "hexadecimal" 2 'not "0x10"' generate $model -t 0x10
refused "not a number" 2 '--temperature takes a number .*"nan"' generate $model -t nan
refused "infinity" 2 'not "1e999"' generate $model -t 1e999
refused "negative temperature" 2 'not "-0.5"' generate $model --temperature=-0.5
refused "probability over 1" 2 '--top-p takes a number from 0 to 1' generate $model --top-p 1.01
refused "unknown attention" 2 '--attention takes softmax, favor or local, not "foo"' \
    generate $model --attention foo
refused "no features" 2 '--features takes a whole number from 1' generate $model --features 0
refused "invalid redraw" 2 '--redraw takes never, sequence or a whole number' \
    generate $model --redraw now
refused "an empty item in a list" 2 '--context takes whole numbers' bench $model --context 1,,2
refused "unknown name in a list" 2 '--attention takes softmax' bench $model --attention softmax,x
refused "two prompts" 2 '--prompt or --file, not both' generate $model -p a -f b
refused "eval without a text" 2 'no text is given' eval $model
refused "eval with two texts" 2 'more than one text' eval $model -p a --file b
refused "convert without an output" 2 '-o FILE' convert $model
refused "bench of two models" 2 'not both' bench $model --shape 15M
refused "bench of an unknown shape" 2 '--shape takes 15M' bench --shape 15MB

# Options that have no effect together, or with a command.
both() { # COMMAND OPTION OPTION ARGUMENTS...: not both
    refused "$1: $2 with $3" 2 "give $2 or $3, not both" "$1" "${@:4}"
}
both compare --json --csv $model --json --csv
both bench --json --csv $model --csv --json
both compare --scaling --html $model --scaling --html "$tmp/x.html"
both compare --scaling --file $model --scaling --file "$tmp/x.txt"
both tokenize --decode --ids $model --decode --ids
both compare --scaling --split $model --scaling --split x
both compare --scaling --recall $model --scaling --recall
both explain --estimate --to $model --estimate --to favor
both calibrate --no-budget --keep $model --no-budget --keep recall -o "$tmp/x.gguf"
both calibrate --no-budget --kv $model --no-budget --kv f16 -o "$tmp/x.gguf"
refused "calibrate: --recall-loss without --keep recall" 2 'no effect without --keep' \
    calibrate $model --recall-loss 1 -o "$tmp/x.gguf"
refused "... with --keep constant" 2 'no effect without --keep recall' \
    calibrate $model --recall-loss 1 --keep constant -o "$tmp/x.gguf"
refused "compare: --seed without --recall" 2 'no effect without --recall' \
    compare $model -p "the hat" --seed 3
refused "generate: --repeat-last-n without a penalty" 2 \
    'without --repeat-penalty or --presence-penalty or --frequency-penalty' \
    generate $model --repeat-last-n 3
for option in --dry-base --dry-allowed-length --dry-penalty-last-n; do
    refused "generate: $option without --dry-multiplier" 2 'no effect without --dry-multiplier' \
        generate $model $option 2
done
refused "--kv q8_0 with heads of 8 dims: compare" 1 '^performer: --kv q8_0 needs heads' \
    compare $model -p "the hat" --kv q8_0
refused "... calibrate, before the work" 1 '^performer: --kv q8_0 needs heads' \
    calibrate $model -f tests/lib.sh --kv q8_0 -o "$tmp/x.gguf"
run inspect $model --kv q8_0
match "... inspect, after what is known" '^1 performer: --kv q8_0 needs heads' "$code $err"
equal "... and no size is made up" 0 "$(grep -c 'no --window given' "$tmp/out")"
both explain --step --json $model --step --json
both calibrate --no-fit --same-features $model -o "$tmp/x.gguf" --no-fit --same-features
useless() { refused "$1: $2 alone" 2 "$2 has no effect without $3" "$1" "${@:4}"; }
useless compare --contexts '--scaling or --html' $model --contexts 64
useless explain --draws --estimate $model --draws 10
useless eval --force --logits $model -p x --force
useless bench --type --shape $model --type q8_0
useless tokenize --escape '--file or --decode' $model --escape -p x
refused "chat has no JSON" 2 '--json is not an option of this command' chat $model --json
refused "compare has --against" 2 '--attention is not an option of this command' \
    compare $model --attention favor
match "--help tells which options exclude each other" 'Not with --csv' \
    "$("$performer" compare --help)"
match "... and which need another" 'Only +with +--estimate' \
    "$("$performer" explain --help | tr '\n' ' ')"
equal "... of this command" 0 "$("$performer" eval --help | grep -c -- 'Not with --csv')"

refused "missing file" 1 'missing.gguf' generate missing.gguf
refused "a directory" 1 'tests' generate tests
refused "a file of unknown format" 1 'tests/lib.sh' inspect tests/lib.sh
refused "missing text file" 1 'missing.txt' eval $model --file missing.txt
refused "missing ids file" 1 'missing.ids' eval $model --tokens missing.ids
refused "output into a missing folder" 1 'missing' convert $model -o missing/out.gguf

run
equal "no command: exit 2" 2 "$code"
match "no command: usage on stderr" '^Usage: performer COMMAND' "$err"
for command in generate chat eval convert inspect tokenize bench compare calibrate; do
    run $command --help
    equal "$command --help: exit 0" "0 " "$code $err"
    match "$command --help: usage" "^Usage: performer $command " "$out"
    match "$command --help: examples" '^  performer '"$command" "$out"
    match "$command --help: exit status" '^Exit status: 0' "$out"
    equal "$command --help: fits 80 columns up to the examples" "" \
        "$(sed '/^Examples:/,$d' "$tmp/out" | awk 'length > 80')"
    match "--help lists $command" "^  $command " "$("$performer" --help)"
done
run --version
match "--version" '^performer [0-9]+\.[0-9]+\.[0-9]+$' "$out"

# All spellings of an option are equivalent.
run generate $model --tokens=3 -t0 -q
first=$out
run generate $model --tokens 3 --temperature 0 --quiet
equal "--name=value, -xVALUE and --name value" "$first" "$out"
run generate -n 3 -t 0 -q -- $model
equal "options before the model, and --" "$first" "$out"
run generate $model -n 9 -n 3 -t 0 -q
equal "the last value counts" "$first" "$out"
