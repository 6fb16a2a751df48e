/* floor 6.3 - fuzz_tokenizer_json: tokenizer.json. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_tokenizer_json(data, size);
}
