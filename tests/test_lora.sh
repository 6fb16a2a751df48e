#!/usr/bin/env bash
# tests/test_lora.sh - LoRA adapters: --lora of the commands that compute, and of convert.
. tests/lib.sh

hf=tests/fixtures/hf
lora=tests/fixtures/lora
for name in llama gpt2 qwen2; do
    "$performer" convert $hf/$name --type f32 -o "$tmp/$name.gguf" -q || exit 1
done

# equals "what" MODEL ADAPTER LOGITS: what numpy computes from W + scale B A
equals() {
    local tokens=$hf/${2##*/}
    run eval "$2" --lora "$3" --tokens "${tokens%.gguf}.tokens.txt" --logits "$tmp/logits.f32" -q
    close "$1" 1e-4 "$tmp/logits.f32" "$lora/$4.logits.f32"
}
equals "PEFT: every matrix, ranks and alphas of their own" "$tmp/llama.gguf" $lora/llama llama
equals "GGUF: the same" "$tmp/llama.gguf" $lora/llama.gguf llama
equals "PEFT: Conv1D, rank-stabilised" "$tmp/gpt2.gguf" $lora/gpt2 gpt2
equals "PEFT: the output of a tied model" "$tmp/qwen2.gguf" $lora/qwen2-output qwen2-output
equals "GGUF: the embedding of a tied model, no alpha" "$tmp/qwen2.gguf" \
    $lora/qwen2-embedding.gguf qwen2-embedding
equals "a Hugging Face folder as the base" $hf/qwen2 $lora/qwen2-output qwen2-output

# The same by convert.
tokens=$hf/llama.tokens.txt
run convert "$tmp/llama.gguf" --lora $lora/llama -o "$tmp/merged.gguf" -q
equal "convert merges" 0 "$code"
run eval "$tmp/merged.gguf" --tokens $tokens --logits "$tmp/logits.f32" -q
close "... and gives the same logits" 1e-4 "$tmp/logits.f32" $lora/llama.logits.f32
run convert $hf/llama --lora $lora/llama.gguf -o "$tmp/merged.gguf" -q
run inspect "$tmp/merged.gguf"
match "what changes becomes f16 if it was bf16" 'blk.0.attn_q.weight +f16' "$out"
run eval "$tmp/merged.gguf" --tokens $tokens --logits "$tmp/logits.f32" -q
close "... and gives the same logits, rounded" 0.1 "$tmp/logits.f32" $lora/llama.logits.f32
run convert $hf/qwen2 --lora $lora/qwen2-output --type q8_0 -o "$tmp/merged.gguf" -q
equal "--type applies to what is merged" 0 "$code"
run inspect "$tmp/merged.gguf"
match "... and the output has parted from the embedding" '^ +output.weight +(f32|q8_0)' "$out"
run convert $hf/qwen2 --lora $lora/qwen2-embedding.gguf -o "$tmp/merged.gguf" -q
run inspect "$tmp/merged.gguf"
match "what does not change keeps its type" 'blk.0.attn_q.weight +f32' "$out"

# Scales add up.
run eval "$tmp/llama.gguf" --lora $lora/llama:0.25 --lora $lora/llama.gguf:0.75 --tokens $tokens \
    --logits "$tmp/logits.f32" -q
close "two adapters, scaled" 1e-4 "$tmp/logits.f32" $lora/llama.logits.f32
run eval "$tmp/llama.gguf" --tokens $tokens --logits "$tmp/base.f32" -q
run eval "$tmp/llama.gguf" --lora-scaled $lora/llama:0 --tokens $tokens \
    --logits "$tmp/logits.f32" -q
check "a scale of 0 changes nothing" cmp "$tmp/logits.f32" "$tmp/base.f32"
cp $lora/llama.gguf "$tmp/a:b.gguf"
run eval "$tmp/llama.gguf" --lora "$tmp/a:b.gguf" --tokens $tokens --logits "$tmp/logits.f32" -q
close "a colon in the name" 1e-4 "$tmp/logits.f32" $lora/llama.logits.f32

# The other commands.
run generate "$tmp/llama.gguf" -p "the cat" -n 8 -t 0 -q
plain=$out
run generate "$tmp/llama.gguf" -p "the cat" -n 8 -t 0 -q --lora $lora/llama \
    --save-state "$tmp/state"
equal "generate" "0 other" "$code $([ "$out" = "$plain" ] || echo other)"
refused "a state of the adapted model is not one of the base" 1 'model' \
    generate "$tmp/llama.gguf" -n 2 -q --load-state "$tmp/state"
run generate "$tmp/llama.gguf" -n 2 -q --load-state "$tmp/state" --lora $lora/llama
equal "... but of the adapted model again" 0 "$code"
run compare "$tmp/llama.gguf" --lora $lora/llama --tokens $tokens --json -q
equal "compare" 0 "$code"
echo hello | "$performer" chat "$tmp/llama.gguf" --raw -n 4 --lora $lora/llama -q >"$tmp/out" 2>&1
equal "chat" 0 $?

# What is no adapter, or none for this model.
model=$tmp/llama.gguf
refused "an adapter as MODEL" 1 'is a LoRA adapter.* --lora' generate $lora/llama.gguf -p a
refused "... a folder" 1 'is a LoRA adapter.* --lora' eval $lora/llama -p a
refused "... its safetensors" 1 'is a LoRA adapter' \
    convert $lora/llama/adapter_model.safetensors -o "$tmp/x.gguf"
check "nothing is written then" test ! -e "$tmp/x.gguf"
refused "a model as adapter" 1 'is not a LoRA adapter' eval "$model" -p a --lora "$tmp/gpt2.gguf"
refused "no such file" 1 'cannot open .*nope' eval "$model" -p a --lora "$tmp/nope.gguf"
refused "a folder that is none" 1 'no adapter_config.json' eval "$model" -p a --lora $hf/llama
refused "another family" 1 'family "llama", but MODEL is "gpt2"' \
    eval "$tmp/gpt2.gguf" -p a --lora $lora/llama.gguf
refused "... of PEFT" 1 'which the model does not have' \
    eval "$tmp/gpt2.gguf" -p a --lora $lora/llama
refused "another size" 1 'token_embd.weight \[24, 512\], but the model.s is \[16, 640\]' \
    eval "$tmp/qwen2.gguf" -p a --lora $lora/llama
refused "no number for a scale" 1 'no number for a scale' eval "$model" -p a --lora $lora/llama:x
refused "too large a scale" 1 'NaN, infinite' eval "$model" -p a --lora $lora/llama:3e38
refused "an output over the adapter" 1 'also read in this run, as --lora' \
    convert "$model" --lora "$tmp/a:b.gguf:0.5" -o "$tmp/a:b.gguf"
refused "... in its folder" 1 'also read in this run, as --lora' \
    convert "$model" --lora $lora/llama:2 -o $lora/llama/adapter_config.json

# Beside a model: not used in silence.
mkdir "$tmp/both"
cp $hf/llama/* $lora/llama/* "$tmp/both"
run eval "$tmp/both" -p "the cat"
match "an adapter beside the model: a warning" 'not used.*--lora' "$err"
run convert "$tmp/both" -o "$tmp/x.gguf"
match "... of convert" 'not used.*--lora' "$err"
run eval "$tmp/both" --lora "$tmp/both" -p "the cat"
equal "... and none if it is named" 0 "$(grep -c 'not used' "$tmp/err")"

# spoilt "what" PATTERN SED: a change of adapter_config.json
spoilt() {
    rm -rf "$tmp/peft"
    cp -r $lora/llama "$tmp/peft"
    sed -i "$3" "$tmp/peft/adapter_config.json"
    refused "$1" 1 "$2" eval "$model" -p a --lora "$tmp/peft"
}
spoilt "another method" 'peft_type "IA3"' 's/LORA/IA3/'
spoilt "DoRA" 'with "use_dora".*merge_and_unload' 's/"r": 3/"r": 3, "use_dora": true/'
spoilt "biases" 'changes biases' 's/none/lora_only/'
spoilt "a base that PiSSA changed" 'pissa' 's/"r": 3/"r": 3, "init_lora_weights": "pissa_niter_4"/'
spoilt "no alpha" 'lora_alpha' 's/lora_alpha/alpha/'
spoilt "a regular expression" 'regular expression' 's/"self_attn.v_proj"/".*v_proj"/'
spoilt "no JSON" 'adapter_config.json' 's/:/;/'
rm -r "$tmp/peft"
cp -r $lora/llama "$tmp/peft"
sed -i 's/q_proj.lora_A/q_proj.lora_C/' "$tmp/peft/adapter_model.safetensors"
refused "half a pair" 1 'neither lora_A nor lora_B' eval "$model" -p a --lora "$tmp/peft"
rm "$tmp/peft/adapter_model.safetensors"
refused "no weights" 1 'adapter_model.safetensors; save' eval "$model" -p a --lora "$tmp/peft"
sed 's/adapter.type/adapter.typo/' $lora/llama.gguf >"$tmp/x.gguf"
refused "no kind of adapter" 1 'adapter of type' eval "$model" -p a --lora "$tmp/x.gguf"
sed 's/blk.1.ffn_up.weight.lora_b/blk.1.ffn_op.weight.lora_b/' $lora/llama.gguf >"$tmp/x.gguf"
refused "half a pair in a GGUF" 1 'incomplete' eval "$model" -p a --lora "$tmp/x.gguf"
