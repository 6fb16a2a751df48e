/* floor 2.6 - head sensitivity: how much an error of one KV head matters to what the model says.
 *
 * A head's error relative to the residual stream says nothing of what later layers make of it. So each
 * KV head alone is given its window without a tail, everything else stays exact, and the divergence of
 * the predictions is measured: nats per token that this error costs. Layers below are computed once;
 * those above once for each head, on a few short texts.
 */
#ifndef PF_HEAD_SENSITIVITY_H
#define PF_HEAD_SENSITIVITY_H

#include "exact_targets.h"

typedef struct pf_sensitivity_options {
    size_t sinks;
    const uint32_t *windows; /* [L, n_kv_heads] */
    bool together; /* the heads of a layer at once: as many times cheaper as it has KV heads */
    int n_threads;
    /* Called now and then with the share that is done; returning false ends it with an error. */
    bool (*progress)(void *context, double done);
    void *context;
} pf_sensitivity_options;

/* divergence [L, n_kv_heads]: mean KL(exact || one head approximated) over rows of the texts; if they are
 * taken together, each head has an equal part of its layer's. */
bool pf_head_sensitivity(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                         const pf_sensitivity_options *options, double *divergence,
                         pf_error *error);

#endif
