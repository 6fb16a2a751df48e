/* floor 5.2 - LoRA flag: --lora FILE[:SCALE], as often as it is given. */
#ifndef LORA_FLAG_H
#define LORA_FLAG_H

#include "lora.h"
#include "options.h"

enum { LORA_MOST = 16, LORA_PATH_SIZE = 4096 };

typedef struct lora_files {
    pf_lora_source sources[LORA_MOST];
    char paths[LORA_MOST][LORA_PATH_SIZE]; /* what the sources point to */
    size_t n;
} lora_files;

/* The adapters of the command line. A file that is there may have a colon in its name. */
bool lora_files_read(const options *parsed, lora_files *files, pf_error *error);

/* Splits FILE[:SCALE] into path [LORA_PATH_SIZE] and scale. */
bool lora_split(const char *text, char *path, float *scale, pf_error *error);

#endif
