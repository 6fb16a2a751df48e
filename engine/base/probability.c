/* floor 0.0 - probability: the distribution softmax(logits), and how far one is from another. */
#include "probability.h"

#include <math.h>

pf_softmax pf_softmax_of(const float *logits, size_t n, float *weights) {
    pf_softmax p = {.logits = logits, .n = n, .weights = weights};
    float max = logits[0];
    for (size_t j = 1; j < n; j++)
        if (logits[j] > max) max = logits[j];
    double sum = 0;
    size_t i = 0; /* n >= 1 */
    do {
        double e = exp((double)logits[i] - (double)max);
        sum += e;
        if (!weights) continue;
        weights[i] = (float)e;
        p.weight_sum += (double)weights[i];
    } while (++i < n);
    p.log_sum = (double)max + log(sum);
    return p;
}

double pf_kl_divergence(const pf_softmax *p, const pf_softmax *q) {
    double sum = 0;
    for (size_t i = 0; i < p->n; i++)
        sum += (double)p->weights[i] * ((double)p->logits[i] - (double)q->logits[i]);
    double kl = sum / p->weight_sum - (p->log_sum - q->log_sum);
    return kl < 0 ? 0 : kl; /* rounding */
}
