/* floor 6.3 - fuzz_prompt: texts for every kind of tokenizer. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_prompt(data, size); }
