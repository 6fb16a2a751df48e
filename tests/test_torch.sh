#!/usr/bin/env bash
# tests/test_torch.sh - PyTorch files: convert --config, running one as it is, refusals.
. tests/lib.sh

pth=tests/fixtures/pth

run convert $pth/performer.pt --config $pth/performer.json -o "$tmp/p.gguf" -q
equal "a performer-pytorch model converts" 0 "$code"
run eval "$tmp/p.gguf" --tokens $pth/performer.tokens.txt --logits "$tmp/running.f32" -q
close "its logits, nothing looks ahead" 1e-4 "$tmp/running.f32" $pth/performer.logits.f32
run eval "$tmp/p.gguf" --tokens $pth/performer.tokens.txt --logits "$tmp/text.f32" \
    --stabilizer text -q
close "its logits, as the library computes them" 1e-4 "$tmp/text.f32" $pth/performer.text.logits.f32
run eval $pth/nanogpt.pt --tokens $pth/nanogpt.tokens.txt --logits "$tmp/logits.f32" -q
close "nanoGPT runs as it is" 1e-4 "$tmp/logits.f32" $pth/nanogpt.logits.f32

run convert $pth/performer.pt --config $pth/performer.json --epsilon 0 -o "$tmp/e.gguf" -q
run inspect "$tmp/e.gguf" --json
equal "a given option goes over what the file says" '0.0' "$(number performer.epsilon "$out")"
equal "and leaves the rest" '8' "$(number performer.features "$out")"

refused "without its config" 1 'causal' convert $pth/performer.pt -o "$tmp/x.gguf"
refused "a config that is not needed" 1 'leave it out' \
    convert "$tmp/p.gguf" --config $pth/performer.json -o "$tmp/x.gguf"
refused "a look ahead beside a window" 1 'no window' \
    eval "$tmp/p.gguf" --tokens $pth/performer.tokens.txt --stabilizer text --window 2
refused "a pickle that calls" 1 'system, which is not part of a state_dict' \
    convert $pth/evil.pt -o "$tmp/x.gguf"
refused "a compressed archive" 1 'compressed' convert $pth/compressed.pt -o "$tmp/x.gguf"
refused "a file of old" 1 'before 1\.6' convert $pth/legacy.pt -o "$tmp/x.gguf"
check "nothing is written then" test ! -e "$tmp/x.gguf"

models=$data/models
if [ ! -d "$models/tales-favor" ]; then
    skip "the shipped tales-favor is model.pt" "$models is not there"
    exit
fi
run convert "$models/tales-favor/model.pt" --tokenizer "$models/tales-favor/tales.bin" --type f16 \
    -o "$tmp/tales.gguf" -q
check "the shipped tales-favor is model.pt" cmp "$tmp/tales.gguf" models/weights/tales-favor.gguf
