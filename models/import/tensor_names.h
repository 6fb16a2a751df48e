/* floor 4.0 - tensor names: a project's tensors under GGUF's names.
 *
 *   pf_tensor_names names;
 *   pf_tensor_names_begin(&names, checkpoint, "model.", error) && ...
 *   names.n_layers = pf_tensor_names_count(&names, "layers.{layer}.attention.wq.weight");
 *   static const pf_tensor_name rows[] = {
 *       {"token_embd.weight", "tok_embeddings.weight"},
 *       {"blk.{layer}.attn_q.weight", "layers.{layer}.attention.wq.weight"}};
 *   pf_tensor_names_ignore(&names, "freqs_cos");
 *   pf_tensor_names_take(&names, rows, 2, error) && ...
 *   pf_checkpoint *result = pf_tensor_names_end(&names, error);
 *
 * {layer} stands for each layer in turn. {head} stands for each head that the file has; the rows of
 * all heads are joined into one tensor, head after head. Nothing is copied: a tensor that the file
 * holds as needed stays in the file, any other is made when it is asked for.
 *
 * A missing source leaves out its target; binding reports what a family cannot do without. A tensor
 * that is neither taken nor ignored is an error.
 */
#ifndef PF_TENSOR_NAMES_H
#define PF_TENSOR_NAMES_H

#include "checkpoint.h"

typedef struct pf_tensor_name {
    const char *target; /* GGUF's name */
    const char *source; /* the project's name, without the prefix */
} pf_tensor_name;

typedef struct pf_tensor_names {
    pf_checkpoint *from, *to;
    char prefix[64]; /* of every source */
    bool *used;      /* [tensors of from] taken or ignored */
    uint32_t n_layers;
} pf_tensor_names;

/* Takes ownership of `from`: freed with the result, or by pf_tensor_names_abort (also after a
 * failure here). Only tensors with the prefix count. */
bool pf_tensor_names_begin(pf_tensor_names *names, pf_checkpoint *from, const char *prefix,
                           pf_error *error);
/* Returns names->to. If a tensor with the prefix is left over: NULL, with a message naming it, and
 * everything is freed. Either way *names is zeroed. */
pf_checkpoint *pf_tensor_names_end(pf_tensor_names *names, pf_error *error);
void pf_tensor_names_abort(pf_tensor_names *names);

/* The tensor prefix + source, or NULL. */
const pf_tensor *pf_tensor_names_find(const pf_tensor_names *names, const char *source);
/* The number of layers: counts {layer} = 0, 1, ... up to the first that is missing. */
uint32_t pf_tensor_names_count(const pf_tensor_names *names, const char *source);

bool pf_tensor_names_take(pf_tensor_names *names, const pf_tensor_name *rows, size_t n,
                          pf_error *error);
/* Marks tensors that are known not to matter (masks, tables), if they are there. A `source` that
 * ends in * matches every name that starts with the part before it. */
void pf_tensor_names_ignore(pf_tensor_names *names, const char *source);

/* Writes `pattern` to `text` with `number` in place of the first `slot` ("{layer}"). False if the
 * result does not fit. */
bool pf_tensor_names_expand(const char *pattern, const char *slot, uint32_t number, char *text,
                            size_t size);

#endif
