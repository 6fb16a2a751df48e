#!/usr/bin/env bash
# tests/test_hf_packages.sh - Hugging Face folders, compared with Hugging Face's own packages.
set -u
if ! command -v python3 >/dev/null; then
    echo "ok 1 - Hugging Face's packages # SKIP there is no python3"
    echo "1..1"
    exit 0
fi
exec python3 tests/compare_hf.py
