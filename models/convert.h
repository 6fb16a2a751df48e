/* floor 4.6 - convert: a checkpoint of any supported format -> GGUF. */
#ifndef PF_CONVERT_H
#define PF_CONVERT_H

#include "attention_metadata.h"
#include "gguf_write.h"
#include "load.h"

typedef struct pf_convert_summary {
    size_t n_tensors;
    uint64_t tensor_bytes; /* in the file that is written */
    pf_loaded_facts facts;
} pf_convert_summary;

typedef struct pf_convert_options {
    const char *source;    /* a file of any format, recognised by its content; or a folder (hf.h) */
    const char *config;    /* path of a --config file (import.h), or NULL */
    const char *tokenizer; /* one of those in tokenizer_files.h; NULL keeps that of the source */
    const pf_lora_source *adapters; /* [n_adapters] merged into the matrices */
    size_t n_adapters;
    const char *output;
    pf_gguf_options gguf;                  /* target type, progress */
    const pf_attention_options *attention; /* to record as performer.* keys; NULL records nothing */
    /* If not NULL: what is written is first bound as its users will bind it, refused if that fails,
     * and told here. The written file is not opened again: it may be a pipe. */
    pf_convert_summary *summary;
} pf_convert_options;

/* Writes the whole output or none of it. The output may be the source itself. */
bool pf_convert(const pf_convert_options *options, pf_error *error);

#endif
