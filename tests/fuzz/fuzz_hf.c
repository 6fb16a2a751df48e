/* floor 6.3 - fuzz_hf: Hugging Face folders. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_hf(data, size); }
