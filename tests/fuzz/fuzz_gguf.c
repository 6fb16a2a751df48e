/* floor 6.3 - fuzz_gguf: GGUF heads, with weights put behind them. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_gguf(data, size); }
