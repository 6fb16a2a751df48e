/* floor 2.6 - head sensitivity: how much an error of one KV head changes the predictions.
 *
 * A head's error relative to the residual stream does not tell what later layers make of it. So
 * this takes the tail from one KV head at a time, keeps everything else exact, and measures the
 * divergence of the predictions: the nats per token that the missing tail costs. Layers below the
 * head are computed once, those above once per head, on a few short texts.
 */
#ifndef PF_HEAD_SENSITIVITY_H
#define PF_HEAD_SENSITIVITY_H

#include "exact_targets.h"

typedef struct pf_sensitivity_options {
    size_t sinks;
    const uint32_t *windows; /* [L, n_kv_heads] */
    bool together; /* probe a layer's KV heads at once: divides the cost by their number */
    int n_threads;
    /* Called now and then with the fraction done. Returning false ends the probing with
     * an error. May be NULL. */
    bool (*progress)(void *context, double done);
    void *context;
} pf_sensitivity_options;

/* divergence [L, n_kv_heads]: the mean over rows of KL(exact || without the head's tail). If a
 * layer's heads are probed together, each gets an equal part of the layer's divergence. Heads of
 * sliding layers have no tail, and get 0. */
bool pf_head_sensitivity(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                         const pf_sensitivity_options *options, double *divergence,
                         pf_error *error);

#endif
