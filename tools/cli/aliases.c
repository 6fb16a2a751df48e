/* floor 5.0 - aliases: what users of llama.cpp type for our options. */
#include "aliases.h"

#include <stddef.h>
#include <string.h>

#define NO_GPU "has no effect: performer computes on the CPU"

static const alias aliases[] = {
    {"--temp", "temperature", NULL},
    {"--n-predict", "tokens", NULL},
    {"--predict", "tokens", NULL},
    {"--ctx-size", "context", NULL},
    {"--system-prompt", "system", NULL},
    {"-sys", "system", NULL},
    {"--reverse-prompt", "stop", NULL},
    {"--lora-scaled", "lora", NULL},
    {"--no-display-prompt", "no-echo", NULL},
    {"-ctk", "kv", NULL},
    {"-ctv", "kv", NULL},
    {"--cache-type-k", "kv", NULL},
    {"--cache-type-v", "kv", NULL},
    {"-ngl", NULL, NO_GPU},
    {"--gpu-layers", NULL, NO_GPU},
    {"--n-gpu-layers", NULL, NO_GPU},
};

const alias *alias_find(const char *argument) {
    size_t length = strcspn(argument, "=");
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strlen(aliases[i].typed) == length && memcmp(aliases[i].typed, argument, length) == 0)
            return &aliases[i];
    return NULL;
}
