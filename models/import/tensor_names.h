/* floor 4.0 - layout: how a project names its tensors, and the same tensors under GGUF's names.
 *
 *   pf_layout layout;
 *   pf_layout_begin(&layout, checkpoint, "model.", error) && ...
 *   layout.n_layers = pf_layout_count(&layout, "layers.{layer}.attention.wq.weight");
 *   static const pf_layout_row rows[] = {{"token_embd.weight", "tok_embeddings.weight"},
 *                                        {"blk.{layer}.attn_q.weight", "layers.{layer}.attention.wq.weight"}};
 *   pf_layout_take(&layout, rows, 2, error) && pf_layout_ignore(&layout, "freqs_cos") && ...
 *   pf_checkpoint *result = pf_layout_end(&layout, error);
 *
 * {layer} runs over the layers, {head} over as many heads as there are: their rows are joined, one head
 * after the other. Nothing is copied: what a file has as it is stays there, the rest is made on demand.
 * A source that is missing leaves its target out (binding says what a family cannot do without); a
 * tensor that no row takes or ignores is an error.
 */
#ifndef PF_LAYOUT_H
#define PF_LAYOUT_H

#include "checkpoint.h"

typedef struct pf_layout_row {
    const char *target, *source;
} pf_layout_row;

typedef struct pf_layout {
    pf_checkpoint *from, *to;
    char prefix[64]; /* in front of every source */
    bool *used;      /* [tensors of from] */
    uint32_t n_layers;
} pf_layout;

/* Takes `from`: it is freed with the result, or by pf_layout_abort. Only tensors with the prefix count. */
bool pf_layout_begin(pf_layout *layout, pf_checkpoint *from, const char *prefix, pf_error *error);
/* What is there so far, or NULL with a message if a tensor with the prefix is left. Ends the layout. */
pf_checkpoint *pf_layout_end(pf_layout *layout, pf_error *error);
void pf_layout_abort(pf_layout *layout);

/* The tensor of that name behind the prefix, or NULL. */
const pf_tensor *pf_layout_find(const pf_layout *layout, const char *source);
/* How many layers there are: {layer} = 0, 1, ... while the tensor is there. */
uint32_t pf_layout_count(const pf_layout *layout, const char *source);

bool pf_layout_take(pf_layout *layout, const pf_layout_row *rows, size_t n, pf_error *error);
/* Tensors that are known not to matter (masks, tables), whether they are there or not. A source that ends
 * in * ignores all that begins so. */
void pf_layout_ignore(pf_layout *layout, const char *source);

/* "blk.{layer}.x" with a number in place of the (first) `slot`; false if it does not fit. */
bool pf_layout_expand(const char *pattern, const char *slot, uint32_t number, char *text,
                      size_t size);

#endif
