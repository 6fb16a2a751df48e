#!/usr/bin/env bash
# tests/test_tokenizers.sh - our tokenizer compared with Hugging Face's package tokenizers.
set -u
if ! command -v python3 >/dev/null; then
    echo "ok 1 - the Python package tokenizers # SKIP there is no python3"
    echo "1..1"
    exit 0
fi
exec python3 tests/compare_tokenizers.py
