#!/usr/bin/env bash
# tests/test_outputs.sh - no run loses what was there: outputs that are inputs or of another kind,
# or cannot be written; pipes, modes, owners; and lines on standard error that stay whole.
# shellcheck disable=SC2094  # to write what is read is what these tests try
. tests/lib.sh

model=tests/fixtures/families/llama.gguf
m=$tmp/m.gguf
cp $model "$m"
echo "the hat" >"$tmp/u.txt"
same() { cmp -s "$1" "$2" && echo same || echo changed; }

# kept "what" FILE PATTERN ARGUMENTS...: refused before the work, and FILE is as it was
kept() {
    local what=$1 file=$2 pattern=$3
    shift 3
    cp --preserve=all "$file" "$tmp/before"
    refused "$what: refused" 1 "$pattern" "$@"
    equal "... and the file is as it was" same "$(same "$file" "$tmp/before")"
}

# An output that is an input, by whatever name.
ln -s m.gguf "$tmp/soft"
ln "$m" "$tmp/hard"
for name in m.gguf ./m.gguf soft hard; do
    kept "--save-state $name over the model" "$m" 'is also read in this run, as MODEL' \
        generate "$m" -p hi -n 3 -q --save-state "$tmp/$name"
done
kept "... with --force, too" "$m" 'as MODEL; name another file$' \
    generate "$m" -p hi -n 3 -q --save-state "$m" --force
kept "--html over the model" "$m" 'as MODEL' compare "$m" --html "$tmp/soft" -q
kept "--logits over the model" "$m" 'as MODEL' eval "$m" -p "the hat" --logits "$tmp/hard" -q
kept "--logits over the text" "$tmp/u.txt" 'as --file' \
    eval "$m" -f "$tmp/u.txt" --logits "$tmp/u.txt" -q
kept "... over the text on standard input" "$tmp/u.txt" 'as standard input' \
    eval "$m" -f - --logits "$tmp/u.txt" -q <"$tmp/u.txt"
kept "calibrate -o over one of its texts" "$tmp/u.txt" 'as --file' \
    calibrate "$m" -f $model -f "$tmp/u.txt" -o "$tmp/u.txt" -q
kept "calibrate -o over the model" "$m" 'as MODEL; .*--force' \
    calibrate "$m" -f "$tmp/u.txt" -o "$m" -q
kept "convert -o over its tokenizer" "$m" 'as --tokenizer' \
    convert $model --tokenizer "$m" -o "$m" -q
cp -r tests/fixtures/hf/llama "$tmp/folder"
kept "an output among the files of a folder that is read" "$tmp/folder/config.json" 'as MODEL' \
    generate "$tmp/folder" -p hi -n 1 -q --save-state "$tmp/folder/config.json" --force
mkdir "$tmp/blobs" "$tmp/links" # as in the cache of Hugging Face: a folder of links
for file in tests/fixtures/hf/llama/*; do
    cp "$file" "$tmp/blobs/${file##*/}.blob"
    ln -s "../blobs/${file##*/}.blob" "$tmp/links/${file##*/}"
done
for option in --save-state:generate:-p --logits:eval:-p --output:convert:--type; do
    IFS=: read -r option command argument <<<"$option"
    kept "$command $option over what a folder's link leads to" "$tmp/blobs/model.safetensors.blob" \
        'as MODEL' "$command" "$tmp/links" "$argument" f16 -q "$option" \
        "$tmp/blobs/model.safetensors.blob" --force
done
kept "convert -o over a file of the folder that it reads" "$tmp/folder/model.safetensors" \
    'as MODEL' convert "$tmp/folder" -o "$tmp/folder/model.safetensors" -q --force
for i in 1 2 3; do cp $model "$tmp/m-0000$i-of-00003.gguf"; done
for command in 'calibrate -f tests/lib.sh' convert; do
    # shellcheck disable=SC2086
    kept "${command%% *} -o over another part of a split model" "$tmp/m-00002-of-00003.gguf" \
        'as MODEL' $command "$tmp/m-00001-of-00003.gguf" -o "$tmp/m-00002-of-00003.gguf" -q --force
done
cp tests/fixtures/hf/qwen3/{vocab.json,merges.txt} "$tmp/"
kept "convert -o over the other half of a tokenizer" "$tmp/merges.txt" 'as --tokenizer' \
    convert $model --tokenizer "$tmp/vocab.json" -o "$tmp/merges.txt" -q --force
run generate "$m" -p hi -n 3 -q --save-state "$tmp/s"
cp "$tmp/s" "$tmp/s1"
kept "--save-state over --load-state" "$tmp/s" 'as --load-state; .*--force' \
    generate "$m" -n 3 -q --load-state "$tmp/s" --save-state "$tmp/s"
run generate "$m" -n 3 -q --load-state "$tmp/s" --save-state "$tmp/s" --force
equal "... with --force it goes on" "0 changed" "$code $(same "$tmp/s" "$tmp/s1")"
run convert "$m" -o "$tmp/soft" --type f16 -q
equal "convert in place, through a link: works" "0 link" "$code $([ -L "$tmp/soft" ] && echo link)"
run inspect "$m"
match "... and has converted the file" ' f16 ' "$out"
rm "$tmp/hard"
cp $model "$m"
"$performer" eval "$m" -p "the hat" -q --logits "$tmp/log" >"$tmp/log" 2>"$tmp/err"
equal "an output where standard output goes: exit 1" 1 $?
match "... and a message" 'is also where standard output' "$(cat "$tmp/err")"
"$performer" convert "$m" -o /dev/stdout -q >"$tmp/out"
equal "-o /dev/stdout into a file" same "$(same "$tmp/out" "$m")"

# An output of another kind, with and without --force; one of its own kind; an empty file.
echo "<p>mine" >"$tmp/page"
run eval $model -p "the hat" -q --logits "$tmp/f32"
equal "a new file follows the umask" "0 $(umask -S >/dev/null; printf %o $((0666 & ~$(umask))))" \
    "$code $(stat -c %a "$tmp/f32")"
of_kind() { # COMMAND OPTION ITS-OWN
    local command=$1 option=$2 own=$3 file text=(-p "the hat")
    [ "$command" != convert ] || text=()
    for file in u.txt page s m.gguf f32; do
        [ "$file" = "$own" ] || kept "$command $option over $file" "$tmp/$file" \
            "$option .*would replace a file that is not" \
            "$command" $model "${text[@]}" -q "$option" "$tmp/$file"
    done
    : >"$tmp/empty"
    cp "$tmp/u.txt" "$tmp/text"
    for file in empty text "$own"; do
        [ -e "$tmp/$file" ] || continue
        [ "$file" = text ] && text+=(--force)
        run "$command" $model "${text[@]}" -q "$option" "$tmp/$file"
        equal "$command $option over $file, --force over a text: works" 0 "$code"
    done
}
of_kind eval --logits f32
of_kind generate --save-state s
of_kind convert --output m.gguf
kept "explain --html over a text" "$tmp/u.txt" 'not an HTML file' \
    explain $model -p "the hat" -q --html "$tmp/u.txt"
kept "compare --html over a text" "$tmp/u.txt" 'not an HTML file' \
    compare $model -p "the hat" -q --html "$tmp/u.txt"
for time in first second; do
    run compare $model -p "the hat" --against local,window=2 --continue 0 --seconds 1 -q \
        --html "$tmp/report.html"
    equal "compare --html, the $time time: works" 0 "$code"
done
equal "every option that takes a FILE is marked as an input or an output" "" \
    "$(tr -d '\n' <tools/cli/flags.c | grep -oE ' TEXTS?\([A-Z_]+,[^"]*"[^"]*"[^"]*"FILE' )"

# Modes and owners.
chmod 444 "$tmp/f32"
kept "a read-only file" "$tmp/f32" 'f32: it is read-only|Permission denied' \
    eval $model -p "the hat" -q --logits "$tmp/f32"
kept "... with --force, too" "$tmp/f32" 'f32: it is read-only|Permission denied' \
    eval $model -p "the hat" -q --logits "$tmp/f32" --force
chmod 640 "$tmp/f32"
run eval $model -p "the hat" -q --logits "$tmp/f32"
equal "a file that exists keeps its mode" "0 640" "$code $(stat -c %a "$tmp/f32")"
(umask 027 && "$performer" eval $model -p "the hat" -q --logits "$tmp/new" >"$tmp/out")
equal "... a new one follows the umask" 640 "$(stat -c %a "$tmp/new")"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chown 12:34 "$tmp/f32"
    run eval $model -p "the hat" -q --logits "$tmp/f32"
    equal "root: the owner stays" "0 12 34 640" "$code $(stat -c '%u %g %a' "$tmp/f32")"
    cp $model "$performer" "$tmp/"
    mkdir "$tmp/open" "$tmp/shut"
    cp "$tmp/f32" "$tmp/open/theirs"
    cp "$tmp/f32" "$tmp/shut/theirs"
    chmod 755 "$tmp" && chmod 777 "$tmp/open" && chmod 666 "$tmp/open/theirs" "$tmp/shut/theirs"
    as_nobody() {
        setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/performer" eval "$tmp/llama.gguf" \
            -p "the hat" -q --logits "$1" >"$tmp/out" 2>"$tmp/err"
        code=$?
    }
    as_nobody "$tmp/open/mine"
    equal "another user: can write" 0 "$code"
    as_nobody "$tmp/open/theirs"
    match "a file of somebody else: refused" '^1 .*theirs: it belongs to somebody else' \
        "$code $(cat "$tmp/err")"
    as_nobody "$tmp/shut/theirs"
    match "a folder that may not be written" '^1 .*shut/theirs: no file can be created beside it' \
        "$code $(cat "$tmp/err")"
    as_nobody "$tmp/shut/new"
    match "... and nothing in it" '^1 .*cannot create .*shut/new: Permission denied' \
        "$code $(cat "$tmp/err")"
    chmod 600 "$tmp/f32" && cp "$tmp/f32" "$tmp/before"
    as_nobody "$tmp/f32"
    match "a file that the user may not write" '^1 .*f32: Permission denied' \
        "$code $(cat "$tmp/err")"
    equal "... is as it was, and so are the folders" "same open/mine open/theirs shut/theirs" \
        "$(same "$tmp/f32" "$tmp/before") $(cd "$tmp" && echo open/* shut/*)"
else
    skip "owners" "needs root and setpriv"
fi

# What cannot be written is found before the work, and called by the name that was given. The work
# is a model that is not there: the first complaint is about the output.
ln -s nowhere "$tmp/dangling"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$tmp/socket"
early() {
    refused "before the work: $1" 1 "^performer: --[a-z-]+(:| -) .*$2" "${@:3}"
    equal "... and no temporary name" "" "$(grep -E '[0-9]+\.tmp' <<<"$err")"
}
for option in convert:-o calibrate:-o eval:--logits generate:--save-state compare:--html \
    explain:--html; do
    early "${option/:/ } in a folder that is not there" "/missing/x: No such file" \
        "${option%:*}" "$tmp/none.gguf" "${option#*:}" "$tmp/missing/x"
done
early "a directory" 'it is a directory' convert "$tmp/none.gguf" -o "$tmp"
early "a dangling link" 'a link to a file that is not there' \
    convert "$tmp/none.gguf" -o "$tmp/dangling"
early "a socket" 'it is a socket' convert "$tmp/none.gguf" -o "$tmp/socket"
early "a file as a folder" 'Not a directory' convert "$tmp/none.gguf" -o "$tmp/u.txt/x"
early "-" 'for standard output give /dev/stdout' convert "$tmp/none.gguf" -o -
refused "no name" 1 'needs the name of a file' convert $model -o ''
long=$(printf 'x%.0s' {1..250})
run convert $model -o "$tmp/$long" -q
equal "a name as long as names can be" "0 same" "$code $(same $model "$tmp/$long")"
early "a name that is too long" 'File name too long' convert "$tmp/none.gguf" -o "$tmp/$long$long"
mkdir "$tmp/stale"
bash -c 'touch "$1.$$.tmp"; exec "$2" convert "$3" -o "$1" -q' - "$tmp/stale/x" "$performer" $model
equal "what a killed run left is no obstacle" "0 same" "$? $(same $model "$tmp/stale/x")"

# A model of 28 MB of zeros.
{
    printf '24ka\1\0\0\0'
    printf '\0\2\0\0\0\2\0\0\1\0\0\0\4\0\0\0\4\0\0\0\20\47\0\0\100\0\0\0\1'
} >"$tmp/zeros.bin"
truncate -s $((256 + 4 * (10000 * 512 + 4 * 512 * 512 + 3 * 512 * 512 + 3 * 512))) "$tmp/zeros.bin"

# Pipes: all bytes, exit 0, nothing opened twice; a reader that goes away; a full device.
mkfifo "$tmp/pipe"
cat "$tmp/pipe" >"$tmp/got" &
run convert $model -o "$tmp/pipe"
wait $!
equal "convert to a pipe: all bytes" "0 same" "$code $(same $model "$tmp/got")"
match "... and its closing line" 'pipe: 21 tensors, 13944 parameters, 55.8 kB, softmax' "$err"
cat "$tmp/pipe" >"$tmp/got" &
run calibrate $model --texts 4 --length 16 --features 2 --window 4 --no-fit -o "$tmp/pipe" -q
wait $!
run generate "$tmp/got" -p "the hat" -n 2 -q --stats-json
match "calibrate to a pipe: a whole file" '"attention":"favor"' "$err"
run convert $model -o "$tmp/file" --json --type f16
equal "convert --json: the numbers are those of the file" "13944 21 $(
    "$performer" inspect "$tmp/file" --json | awk '/"bytes":/ { n += $2 } END { print n }'
)" "$(number parameters "$out") $(number tensors "$out") $(number tensor_bytes "$out")"
head -c 100 "$tmp/pipe" >"$tmp/got" &
refused "a reader that goes away" 1 'pipe: Broken pipe' convert "$tmp/zeros.bin" -o "$tmp/pipe" -q
wait $!
[ ! -w /dev/full ] ||
    refused "a full device" 1 '/dev/full: No space left' convert $model -o /dev/full -q

# Little memory: a run that fails leaves no file, one that leaves a file does not fail. (What is
# written is four times as large as what is read: opening it again would need most.)
mkdir "$tmp/little"
run convert "$tmp/zeros.bin" -o "$tmp/zeros.gguf" --type q8_0 -q
limited() { # KILOBYTES
    rm -f "$tmp/little/"*
    (
        ulimit -v "$1"
        OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 timeout 2 "$performer" convert \
            "$tmp/zeros.gguf" -o "$tmp/little/x" --type f32 -q
    ) >"$tmp/out" 2>"$tmp/err"
    code=$? left=$(ls "$tmp/little")
}
wrong='' below=150000 above=400000
limited $above
if ((code)); then
    skip "ulimit -v" "400 MB are not enough for this build"
else
    while ((above - below > 8000)); do
        middle=$(((above + below) / 2))
        limited $middle
        if ((code)); then below=$middle; else above=$middle; fi
        [ "$code $left" = "0 x" ] || { ((code)) && [ -z "$left" ]; } ||
            wrong+="$middle: $code $left; "
    done
    equal "ulimit -v: exit 0 and a file, or neither" "" "$wrong"
fi

# Ended while it writes: the file that was there stays, with its mode.
mkdir "$tmp/alone"
cp "$tmp/f32" "$tmp/alone/f32" && chmod 600 "$tmp/alone/f32"
yes 7 | head -400000 >"$tmp/ids"
"$performer" eval $model --tokens "$tmp/ids" --attention favor --features 8 \
    --logits "$tmp/alone/f32" -q >"$tmp/out" 2>"$tmp/err" &
pid=$!
written() { [ -n "$(find "$tmp/alone" -name '*.tmp' -size +0)" ]; }
await written
equal "while it writes, only its user may read what will only be theirs" 600 \
    "$(stat -c %a "$tmp/alone/"*.tmp)"
kill -TERM $pid
wait $pid 2>/dev/null
equal "terminated: what was there is untouched" "143 f32 same 600" "$? $(ls "$tmp/alone") $(
    same "$tmp/f32" "$tmp/alone/f32") $(stat -c %a "$tmp/alone/f32")"

# Every line on standard error is one write: a socket that keeps writes apart shows it.
writes() {
    python3 - "$performer" "$@" <<'END'
import socket, subprocess, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
subprocess.run(sys.argv[1:], stderr=theirs, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
theirs.close()
packets = []
while packet := ours.recv(1 << 16):
    packets.append(packet)
whole = sum(p.endswith(b"\n") and p.count(b"\n") == 1 for p in packets)
print("lines" if packets and whole == len(packets) else packets)
END
}
equal "an error is one write" lines "$(writes generate /nowhere -p x)"
equal "a usage error" lines "$(writes generate $model --temperature warm)"
equal "an unknown command" lines "$(writes generte)"
equal "statistics" lines "$(writes generate $model -n 3 --stats-json)"
equal "a closing line" lines "$(writes convert $model -o "$tmp/file")"
