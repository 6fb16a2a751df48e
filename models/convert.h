/* floor 4.4 - convert: a checkpoint of any supported format -> GGUF. */
#ifndef PF_CONVERT_H
#define PF_CONVERT_H

#include "attention_metadata.h"
#include "gguf_write.h"

typedef struct pf_convert_options {
    const char *source;    /* a file, its format found from the content; or a folder (hf.h) */
    const char *config;    /* --config FILE.json, or NULL: what the source cannot say (import.h) */
    const char *tokenizer; /* any of tokenizer_files.h, or NULL: what the source has */
    const char *output;
    pf_gguf_options gguf;                  /* target type, progress */
    const pf_attention_options *attention; /* recorded as performer.* keys; NULL: nothing is */
} pf_convert_options;

/* The output appears whole or not at all, and may be the source itself. */
bool pf_convert(const pf_convert_options *options, pf_error *error);

#endif
