#!/usr/bin/env bash
# tests/test_peft.sh - LoRA adapters, compared with Hugging Face's PEFT and with llama.cpp.
set -u
if ! command -v python3 >/dev/null; then
    echo "ok 1 - PEFT and llama.cpp # SKIP there is no python3"
    echo "1..1"
    exit 0
fi
python3 tests/compare_peft.py
first=$?
python3 tests/compare_llama_lora.py && exit $first
