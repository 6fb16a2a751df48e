/* floor 4.4 - convert: a checkpoint of any supported format -> GGUF. */
#ifndef PF_CONVERT_H
#define PF_CONVERT_H

#include "attention_metadata.h"
#include "gguf_write.h"

typedef struct pf_convert_options {
    const char *source;    /* a file of any format, recognised by its content; or a folder (hf.h) */
    const char *config;    /* path of a --config file (import.h), or NULL */
    const char *tokenizer; /* one of those in tokenizer_files.h; NULL keeps that of the source */
    const char *output;
    pf_gguf_options gguf;                  /* target type, progress */
    const pf_attention_options *attention; /* to record as performer.* keys; NULL records nothing */
} pf_convert_options;

/* Writes the whole output or none of it. The output may be the source itself. */
bool pf_convert(const pf_convert_options *options, pf_error *error);

#endif
