/* floor 6.1 - gradients: derivatives in double, against central differences. */
#ifndef PF_GRADIENTS_H
#define PF_GRADIENTS_H

#include "testing.h"

#include "rng.h"

#include <math.h>

static const double STEP = 1e-5, TOLERANCE = 1e-6;

static pf_rng rng;

/* The loss of an operation under test is sum_i weight_i result_i, or a loss of its own. */
typedef double (*loss_of)(void *context);

/* The gradient by x [n] must agree with central differences at up to `places` places, relative to
 * the largest number of either. */
static inline void assert_gradient(const char *what, loss_of loss, void *context, double *x,
                                   size_t n, const double *gradient, size_t places) {
    double worst = 0, largest = 0;
    for (size_t k = 0; k < places; k++) {
        size_t i = places < n ? (size_t)(pf_rng_uniform(&rng) * (double)n) : k;
        if (i >= n) break;
        double kept = x[i];
        x[i] = kept + STEP;
        double above = loss(context);
        x[i] = kept - STEP;
        double below = loss(context);
        x[i] = kept;
        double expected = (above - below) / (2 * STEP), error = fabs(expected - gradient[i]);
        if (error > worst) worst = error;
        largest = fmax(largest, fmax(fabs(expected), fabs(gradient[i])));
    }
    assert_true(largest > 1e-6);
    if (!(worst < TOLERANCE * largest))
        fail_msg("%s: the gradient differs by %g of %g", what, worst, largest);
}

#endif
