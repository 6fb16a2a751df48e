/* floor 6.3 - fuzz_pickle: pickles alone. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_pickle(data, size); }
