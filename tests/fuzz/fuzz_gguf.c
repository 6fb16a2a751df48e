/* floor 6.3 - fuzz_gguf: heads of GGUF files, with weights appended. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_gguf(data, size); }
