/* floor 6.3 - fuzz_snapshot: saved states. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_snapshot(data, size); }
