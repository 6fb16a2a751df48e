/* floor 2.4 - head budget: divides a budget of state between the heads. */
#include "head_budget.h"

static size_t cheapest(const pf_head_choices *choices, size_t head) {
    const double *error = choices->error + head * choices->n_choices;
    size_t best = 0;
    for (size_t c = 1; c < choices->n_choices; c++)
        if (choices->cost[c] < choices->cost[best] ||
            (choices->cost[c] <= choices->cost[best] && error[c] < error[best]))
            best = c;
    return best;
}

/* The best next choice of a head that has choice `now`, with `left` to spend. Returns how much it
 * reduces the error per cost, or 0 if there is none. A better choice that costs no more comes
 * first. */
static double best_step(const pf_head_choices *choices, size_t head, size_t now, double left,
                        size_t *next) {
    const double *error = choices->error + head * choices->n_choices;
    double best = 0;
    for (size_t c = 0; c < choices->n_choices; c++) {
        double fall = error[now] - error[c], more = choices->cost[c] - choices->cost[now];
        if (fall <= 0 || more > left) continue;
        double rate = more > 0 ? fall / more : 1e300;
        if (rate > best) {
            best = rate;
            *next = c;
        }
    }
    return best;
}

void pf_head_budget_choose(const pf_head_choices *choices, double budget, size_t *chosen) {
    double left = budget;
    for (size_t i = 0; i < choices->n_heads; i++) {
        chosen[i] = cheapest(choices, i);
        left -= choices->cost[chosen[i]];
    }
    for (;;) {
        size_t head = 0, next = 0, candidate = 0;
        double best = 0;
        for (size_t i = 0; i < choices->n_heads; i++) {
            double rate = best_step(choices, i, chosen[i], left, &candidate);
            if (rate > best) {
                best = rate;
                head = i;
                next = candidate;
            }
        }
        if (best <= 0) return;
        left -= choices->cost[next] - choices->cost[chosen[head]];
        chosen[head] = next;
    }
}
