/* floor 6.3 - fuzz_llama2c: llama2.c checkpoints. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_checkpoint(data, size); }
