/* floor 2.7 - recall heads: the few heads that look far back for an answer.
 *
 * In a trained model a few heads find what is asked for ("retrieval heads"); the rest get by with a
 * window. No single one need matter, so they are chosen together: with all other heads limited to
 * their windows, the head that lowers the loss of the answers most joins the set, until the loss is
 * within `loss` of the exact one; then those that are not needed after all leave it again.
 */
#ifndef PF_RECALL_HEADS_H
#define PF_RECALL_HEADS_H

#include "answer_probe.h"

typedef struct pf_recall_heads_options {
    double loss; /* nats per token above the exact loss that the set may leave */
    size_t most; /* heads in the set */
    /* Called now and then with the fraction done. Returning false ends the search with an error.
     * May be NULL. */
    bool (*progress)(void *context, double done);
    void *context;
} pf_recall_heads_options;

/* What was found. Losses are mean nats per token of the answers. */
typedef struct pf_recall_heads {
    size_t n;
    size_t *head;   /* [most] layer * n_kv_heads + KV head, in the order in which they joined */
    double *left;   /* [most] the loss once each had joined; what left again is not listed */
    double exact;   /* without limits */
    double limited; /* with all heads limited to their windows */
    double reached; /* with the set free of limits */
} pf_recall_heads;

/* windows [n_layers, n_kv_heads]: the limits of all heads. Free with pf_recall_heads_free, also
 * after a failure. */
bool pf_recall_heads_choose(pf_answer_probe *probe, size_t n_heads, const uint32_t *windows,
                            const pf_recall_heads_options *options, pf_recall_heads *heads,
                            pf_error *error);
void pf_recall_heads_free(pf_recall_heads *heads);

#endif
