/* floor 2.4 - head budget: which window and how many features each head gets, under one total. */
#ifndef PF_HEAD_BUDGET_H
#define PF_HEAD_BUDGET_H

#include <stddef.h>

/* What the heads can choose from, the same for all: choice c costs cost[c] and leaves head i an error
 * of error[i * n_choices + c]. */
typedef struct pf_head_choices {
    size_t n_heads, n_choices;
    const double *cost;
    const double *error;
} pf_head_choices;

/* chosen [n_heads]: every head begins with its cheapest choice; then, again and again, the head and
 * choice with the largest fall of error per cost is taken, as long as the sum of costs stays within
 * budget. Greedy is optimal on the lower convex hull of each head's choices, up to the last step. */
void pf_head_budget_choose(const pf_head_choices *choices, double budget, size_t *chosen);

#endif
