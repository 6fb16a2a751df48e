/* floor 2.4 - head budget: divides a budget of state between the heads. */
#ifndef PF_HEAD_BUDGET_H
#define PF_HEAD_BUDGET_H

#include <stddef.h>

/* The choices, the same for all heads. Choice c costs cost[c] and leaves head i with
 * error[i * n_choices + c]. */
typedef struct pf_head_choices {
    size_t n_heads, n_choices;
    const double *cost;
    const double *error;
} pf_head_choices;

/* Writes each head's choice to chosen [n_heads]. Every head begins with its cheapest choice. Then
 * the head and choice that reduce the error most per cost are taken, again and again, while the
 * total cost stays within budget. This greedy rule is optimal on the lower convex hull of each
 * head's choices, up to the last step. */
void pf_head_budget_choose(const pf_head_choices *choices, double budget, size_t *chosen);

#endif
