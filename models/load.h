/* floor 4.4 - load: a file of any supported format -> a model and its tokenizer, ready to run. */
#ifndef PF_LOAD_H
#define PF_LOAD_H

#include "checkpoint.h"
#include "model.h"
#include "tokenizer.h"

/* A loaded model: the mapped file, the pf_model bound to it and the tokenizer. Const after opening;
 * any number of sessions and threads may use it until pf_loaded_close. */
typedef struct pf_loaded {
    pf_checkpoint *checkpoint;
    const pf_model *model;         /* NULL after pf_loaded_open_tokenizer */
    const pf_tokenizer *tokenizer; /* NULL if the file has none */
    struct pf_loaded_owned *owned; /* private: what model and tokenizer point into */
} pf_loaded;

/* A file, its format found from the content and never from the name, or a Hugging Face folder (hf.h);
 * every tensor's name, type and shape is verified. False with one sentence that names the file. */
bool pf_loaded_open(const char *path, pf_loaded *loaded, pf_error *error);
/* The same for bytes in memory, which must outlive it; `name` stands for the path in messages. */
bool pf_loaded_open_bytes(pf_slice bytes, const char *name, pf_loaded *loaded, pf_error *error);
/* pf_loaded_open in two steps, for whoever has something to do beside the second (numbers.h). */
bool pf_loaded_open_model(const char *path, pf_loaded *loaded, pf_error *error);
bool pf_loaded_read_tokenizer(pf_loaded *loaded, pf_error *error); /* leaves *loaded open */
/* Only the tokenizer, which must be there: the file may have no tensors, or a family that is not
 * supported. */
bool pf_loaded_open_tokenizer(const char *path, pf_loaded *loaded, pf_error *error);
/* Binds a checkpoint that is already open, and takes it: it is freed with *loaded, or on failure. */
bool pf_loaded_bind(pf_checkpoint *checkpoint, pf_loaded *loaded, pf_error *error);
void pf_loaded_close(pf_loaded *loaded); /* a zeroed one is allowed */

#endif
