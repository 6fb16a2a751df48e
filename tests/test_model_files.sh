#!/usr/bin/env bash
# tests/test_model_files.sh - files given as MODEL that are none, are incomplete, or are odd.
. tests/lib.sh

model=tests/fixtures/families/llama.gguf
folder=$tmp/folder
fresh() { # a Hugging Face folder to spoil
    rm -rf "$folder"
    cp -r tests/fixtures/hf/llama "$folder"
}

# What git clone and browsers leave in place of a file.
pointer() {
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e'
    printf 'adbb8f32b1258daaa5e2ca24d17e2393\nsize 269060552\n'
}
pointer >"$tmp/m.gguf"
refused "a Git LFS pointer" 1 'Git LFS pointer.*269.1 MB.*git lfs pull' generate "$tmp/m.gguf" -p a
refused "... to convert" 1 'Git LFS pointer' convert "$tmp/m.gguf" -o "$tmp/x.gguf"
refused "... as a tokenizer" 1 'Git LFS pointer' \
    convert $model --tokenizer "$tmp/m.gguf" -o "$tmp/x.gguf"
fresh
pointer >"$folder/model.safetensors"
refused "... in a folder" 1 'model.safetensors: this is a Git LFS pointer' generate "$folder" -p a
fresh
pointer >"$folder/tokenizer.json"
refused "... in place of a folder's tokenizer" 1 'tokenizer.json: this is a Git LFS pointer' \
    generate "$folder" -p a
printf '\n<!DOCTYPE html>\n<html><head><title>model.gguf</title></head></html>\n' >"$tmp/m.gguf"
refused "a web page" 1 'is a web page' generate "$tmp/m.gguf" -p a
printf '<html lang="en">' >"$tmp/m.gguf"
refused "... without a doctype" 1 'is a web page' inspect "$tmp/m.gguf"
refused "convert -o -" 1 '/dev/stdout' convert $model -o -
refused "... is no file" 1 '/dev/stdout' convert $model --output=-
check "... and makes none" test ! -e ./-

# An old performer-pytorch file: its features were drawn anew for each text, and are not in it.
safetensors() { # NAME...: a file of tensors [1, 1]
    local header='' at=0 name
    for name; do
        header+="${header:+,}\"$name\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[$at,"
        header+="$((at + 4))]}"
        at=$((at + 4))
    done
    header="{$header}"
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((${#header} % 256)))\\x$(printf %02x $((${#header} / 256)))"
    printf '\0\0\0\0\0\0%s' "$header"
    head -c "$at" /dev/zero
}
net=performer.net.layers.0.0.fn
safetensors token_emb.weight $net.to_q.weight $net.to_k.weight >"$tmp/old.safetensors"
echo '{"causal": true, "heads": 1}' >"$tmp/config.json"
refused "performer-pytorch without projections" 1 \
    'no projections \(performer.net.layers.0.0.fn.fast_attention.projection_matrix\)' \
    convert "$tmp/old.safetensors" --config "$tmp/config.json" -o "$tmp/x.gguf"

# What works, but oddly: a warning, once. warned "what" PATTERN ARGUMENTS...
warned() {
    local what=$1 pattern=$2
    shift 2
    run "$@"
    local lines
    lines=$(grep -cE "$pattern" "$tmp/err")
    equal "$what: a warning, once" "0 1" "$code $lines"
    run "$@" -q
    equal "... and none with -q" "0 " "$code $err"
}
gpt2=tests/fixtures/families/gpt2.gguf
run generate $gpt2 -p a -n 2
equal "no warning without a reason" "" "$(grep '^performer:' "$tmp/err")"
sed 's/tokenizer.ggml.pre/tokenizer.ggml.prX/' $gpt2 >"$tmp/nopre.gguf"
warned "no tokenizer.ggml.pre" 'tokenizer.ggml.pre is missing' generate "$tmp/nopre.gguf" -p a -n 2
"$performer" convert tests/fixtures/hf/llama -o "$tmp/eos.gguf" -q
at=$(grep -abo 'tokenizer.ggml.eos_token_id' "$tmp/eos.gguf" | cut -d: -f1)
printf '\x2c\x01' | dd of="$tmp/eos.gguf" bs=1 seek=$((at + 27 + 4)) conv=notrunc 2>/dev/null
warned "EOS is ordinary text" 'EOS .*token 300.* ordinary text' eval "$tmp/eos.gguf" -p "the cat"
fresh
rm "$folder/generation_config.json" "$folder/tokenizer_config.json"
cat >"$folder/tokenizer.json" <<'END'
{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2}, "merges": []},
 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}}
END
warned "the tokenizer of another model" 'has 3 tokens, but the model 512' \
    generate "$folder" -p abc -n 2
"$performer" convert "$folder" -o "$tmp/padded.gguf" -q
warned "... padded by convert" 'has 3 tokens, but the model 512' \
    generate "$tmp/padded.gguf" -p abc -n 2
warned "two BOS" 'BOS.* there twice' generate tests/fixtures/hf/llama -p "<s>Once" -n 2
warned "... in a text to read" 'BOS.* there twice' eval tests/fixtures/hf/llama -p "<s>Once upon"
warned "... in each of several" 'BOS.* there twice' compare tests/fixtures/hf/llama \
    -p "<s>Once upon; <s>the cat sat" --split ";"
