/* floor 5.0 - divergence: how far one prediction is from another, at one position of a text. */
#include "divergence.h"

#include "probability.h"

#include <stdlib.h>

/* Inserts token i into its place among the `found` best tokens so far. */
static void insert_best(prediction *p, int found, const float *logits, int32_t i) {
    int at = found < TOP_TOKENS ? found : TOP_TOKENS - 1;
    for (; at > 0 && logits[p->best[at - 1]] < logits[i]; at--) p->best[at] = p->best[at - 1];
    p->best[at] = i;
}

static void find_best(prediction *p, const float *logits, size_t n) {
    int found = 0;
    for (int i = 0; i < TOP_TOKENS; i++) p->best[i] = -1;
    for (size_t i = 0; i < n; i++) {
        if (found == TOP_TOKENS && !(logits[i] > logits[p->best[TOP_TOKENS - 1]])) continue;
        insert_best(p, found, logits, (int32_t)i);
        found += found < TOP_TOKENS;
    }
}

prediction predict(const float *logits, size_t n, float *weights) {
    prediction p = {0};
    find_best(&p, logits, n);
    pf_softmax softmax = pf_softmax_of(logits, n, weights);
    p.log_sum = softmax.log_sum;
    p.weight_sum = softmax.weight_sum;
    return p;
}

divergence diverge(const prediction *p, const float *p_logits, const float *weights,
                   const prediction *q, const float *q_logits, size_t n, int32_t next) {
    pf_softmax reference = {p_logits, n, p->log_sum, weights, p->weight_sum};
    pf_softmax other = {q_logits, n, q->log_sum, NULL, 0};
    divergence d = {.kl = pf_kl_divergence(&reference, &other),
                    .nll = q->log_sum - (double)q_logits[next],
                    .top1 = p->best[0] == q->best[0]};
    for (int i = 0; i < TOP_TOKENS; i++)
        for (int j = 0; j < TOP_TOKENS; j++) d.top5 += p->best[i] >= 0 && p->best[i] == q->best[j];
    return d;
}

static int compare_values(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_values(double *values, size_t n) { qsort(values, n, sizeof *values, compare_values); }

double quantile(const double *sorted, size_t n, double share) {
    double place = share * (double)(n - 1);
    size_t below = (size_t)place;
    if (below + 1 >= n) return sorted[n - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}
