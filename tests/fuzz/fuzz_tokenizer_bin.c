/* floor 6.3 - fuzz_tokenizer_bin: llama2.c's tokenizer.bin. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_tokenizer_bin(data, size);
}
