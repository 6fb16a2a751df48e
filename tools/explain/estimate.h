/* floor 5.7 - estimate: is phi(q).phi(k) really e^score on average?
 *
 * Measured over many draws, which come from pf_head_features_draw and are mapped by
 * pf_features_apply, as in every session.
 */
#ifndef ESTIMATE_H
#define ESTIMATE_H

#include "row_error.h"
#include "text_page.h"

enum { ESTIMATE_PAIRS = 5, ESTIMATE_MARKS = 8, ESTIMATE_SIZES = 4, ESTIMATE_ROW_DRAWS = 16 };

/* phi(q).phi(k) / e^score over many draws. */
typedef struct ratio {
    size_t n;
    double mean, squares; /* squares: sum of squared differences from the mean */
} ratio;
double ratio_standard_error(const ratio *r);

typedef struct estimate {
    pf_attention_options attention;
    size_t draws, n_pairs, n_marks;
    struct estimate_pair {
        size_t j;                         /* position of the key; the query is the last token's */
        double score, z;                  /* Z = |x + y|^2 */
        ratio by_projection[2];           /* indexed by pf_projection_kind */
    } pairs[ESTIMATE_PAIRS];              /* ascending Z */
    size_t marks[ESTIMATE_MARKS];         /* numbers of draws at which the running mean ... */
    ratio running[ESTIMATE_MARKS][2];     /* ... of the first pair is recorded */
    row_error sizes[ESTIMATE_SIZES], elu; /* whole rows: M = 16, 64, 256, 1024; and elu + 1 */
    float *favor_row, *elu_row; /* [T] weights of the last draw with the run's M; of elu + 1 */
} estimate;

/* Fails if the map does not estimate e^score. Free it in either case. */
bool estimate_measure(estimate *e, const explain_run *run, size_t draws, pf_error *error);
void estimate_free(estimate *e);

void estimate_print(const estimate *e, const explain_run *run, text_page *p);
json_t *estimate_json(const estimate *e, const explain_run *run);

#endif
