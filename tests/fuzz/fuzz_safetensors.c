/* floor 6.3 - fuzz_safetensors: safetensors files. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_checkpoint(data, size); }
