/* floor 2.7 - recall heads: the few heads that look far back for an answer.
 *
 * In a trained model a few heads find what is asked for ("retrieval heads"); the rest get by with a
 * window. They work together: one finds the place, another brings what stands there, so a head may
 * be of no use until others are there. So the search begins with all heads free, and goes in
 * rounds. A round limits each head of the set alone, for a moment, to see how much it is missed;
 * then it limits for good those that are missed least, a third of them. Once the set is small
 * enough, a round limits no more than what leaves the loss of the answers within `loss` of the
 * exact one; the last round is the one that cannot limit any.
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
    size_t *head;   /* [n] layer * n_kv_heads + KV head, the most missed first */
    double exact;   /* without limits */
    double limited; /* with all heads limited to their windows */
    double reached; /* with the set free of limits */
} pf_recall_heads;

/* windows [n_layers, n_kv_heads]: the limits of all heads; PF_WINDOW_ALL: this one cannot be
 * limited and does not count. Free with pf_recall_heads_free, also
 * after a failure. */
bool pf_recall_heads_choose(pf_answer_probe *probe, size_t n_heads, const uint32_t *windows,
                            const pf_recall_heads_options *options, pf_recall_heads *heads,
                            pf_error *error);
void pf_recall_heads_free(pf_recall_heads *heads);

#endif
