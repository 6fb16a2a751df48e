/* floor 6.3 - fuzz_lora: LoRA adapters, as GGUF files and as PEFT folders. */
#include "fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_lora(data, size); }
