#!/usr/bin/env bash
# tests/test_peft.sh - LoRA adapters, compared with Hugging Face's PEFT.
set -u
if ! command -v python3 >/dev/null; then
    echo "ok 1 - PEFT # SKIP there is no python3"
    echo "1..1"
    exit 0
fi
exec python3 tests/compare_peft.py
