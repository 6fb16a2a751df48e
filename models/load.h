/* floor 4.5 - load: a file of any supported format -> a model and its tokenizer, ready to run. */
#ifndef PF_LOAD_H
#define PF_LOAD_H

#include "checkpoint.h"
#include "lora.h"
#include "model.h"
#include "tokenizer.h"

/* A loaded model: the mapped file, the pf_model bound to it, and the tokenizer. Const once open:
 * any number of sessions and threads may use it until pf_loaded_close. */
typedef struct pf_loaded {
    pf_checkpoint *checkpoint;
    const pf_model *model;         /* NULL after pf_loaded_open_tokenizer */
    const pf_tokenizer *tokenizer; /* NULL if the file has none */
    struct pf_loaded_owned *owned; /* private: what model and tokenizer point into */
} pf_loaded;

/* Opens a file or a Hugging Face folder (hf.h). The content decides which format a file has, never
 * its name. The name, type and shape of every tensor are checked; weights are read only when they
 * are used. False with a message that names the file; *loaded is then zeroed. */
bool pf_loaded_open(const char *path, pf_loaded *loaded, pf_error *error);
/* The same, and checks every weight with pf_loaded_check_numbers. Faster than one after the other:
 * one of the threads makes the tokenizer while the others already check. */
bool pf_loaded_open_checked(const char *path, int n_threads, pf_loaded *loaded, pf_error *error);
/* The same as pf_loaded_open_checked for a model with LoRA adapters [n] merged into it. */
bool pf_loaded_open_adapted(const char *path, const pf_lora_source *adapters, size_t n,
                            int n_threads, pf_loaded *loaded, pf_error *error);
/* The same as pf_loaded_open for a file in memory. The bytes must outlive *loaded; messages call it
 * `name`. */
bool pf_loaded_open_bytes(pf_slice bytes, const char *name, pf_loaded *loaded, pf_error *error);
/* Opens the tokenizer alone. The file must have one, but may have no tensors or an unsupported
 * family. */
bool pf_loaded_open_tokenizer(const char *path, pf_loaded *loaded, pf_error *error);
/* Binds a checkpoint that you have opened. Takes ownership of it, also on failure. */
bool pf_loaded_bind(pf_checkpoint *checkpoint, pf_loaded *loaded, pf_error *error);

/* What a checkpoint would be once it is loaded. */
typedef struct pf_loaded_facts {
    uint64_t parameters;
    pf_attention_kind attention;
    bool has_tokenizer;
} pf_loaded_facts;
/* For a check before a checkpoint is written: binds it as pf_loaded_open does, makes no matrices,
 * and lets go of it again. */
bool pf_loaded_check(pf_checkpoint *checkpoint, pf_loaded_facts *facts, pf_error *error);

void pf_loaded_close(pf_loaded *loaded); /* a zeroed one is allowed */

/* Reads every weight once, as computing one token does; n_threads share the work. False if a weight
 * is NaN or infinite, with a message that names the file and the first such tensor: attention would
 * hide the value in most rows and spoil the others. */
bool pf_loaded_check_numbers(const pf_loaded *loaded, int n_threads, pf_error *error);

#endif
