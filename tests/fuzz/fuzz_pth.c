/* floor 6.3 - fuzz_pth: pickles in a PyTorch archive. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_pth(data, size); }
