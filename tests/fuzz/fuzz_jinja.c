/* floor 6.3 - fuzz_jinja: chat templates, parsed and rendered. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_jinja(data, size); }
