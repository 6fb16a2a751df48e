/* floor 5.8 - measure kernel: how much estimates of exp(x.y) scatter, against the formulas.
 *
 * Pairs of vectors of length 1 at one angle after another, so Z = |x + y|^2 goes from 0 (opposite)
 * to 4 (equal). Formulas: docs/favor.md, "Exact values".
 */
#include "figure.h"

#include "feature_draws.h"
#include "memory.h"

#include <math.h>

enum { D = 16, POINTS = 6, LINE = 81, DRAWS = 50000, MAPS = 3 };
static const double PI = 3.14159265358979323846;
static const double last_measured = 3; /* beyond, rare draws decide what is measured */

/* Mean square of estimate / exp(x.y) - 1 at each of POINTS values of Z. */
typedef struct scatter {
    double z[POINTS], error[POINTS];
} scatter;

/* x = e_0 and y in the plane of e_0 and e_1, both of length 1, with |x + y|^2 = z. Turned by a
 * fixed rotation of many planes, so that no axis is special. */
static void set_pair(double z, float *x, float *y) {
    double cosine = z / 2 - 1, sine = sqrt(fmax(0, 1 - cosine * cosine));
    for (int i = 0; i < D; i++) {
        double a = sqrt(2.0 / D) * cos(PI * (i + 0.5) / D); /* two rows of a cosine transform */
        double b = sqrt(2.0 / D) * cos(PI * (i + 0.5) * 3 / D);
        x[i] = (float)a;
        y[i] = (float)(cosine * a + sine * b);
    }
}

static bool measure(pf_map_kind map, pf_projection_kind projection, size_t M, scatter *s,
                    pf_error *error) {
    float x[D], y[POINTS][D];
    feature_draws d;
    bool good = feature_draws_new(&d, map, projection, D, M, 1, error);
    for (int i = 0; i < POINTS; i++) {
        s->z[i] = last_measured * (i + 1) / POINTS;
        s->error[i] = 0;
        set_pair(s->z[i], x, y[i]);
    }
    for (int draw = 0; good && draw < DRAWS; draw++) {
        feature_draws_next(&d);
        for (int i = 0; i < POINTS; i++) {
            double exact = exp(s->z[i] / 2 - 1);
            double off = feature_draws_estimate(&d, x, y[i]) / exact - 1;
            s->error[i] += off * off / DRAWS;
        }
    }
    feature_draws_free(&d);
    return good;
}

/* Relative variance of M features, x and y of length 1, independent directions. */
static double theory(pf_map_kind map, double M, double z) {
    double difference = 4 - z; /* |x - y|^2 */
    if (map == PF_MAP_TRIG) {
        double half = exp(difference / 2) - exp(-difference / 2);
        return half * half / M;
    }
    double positive = (exp(z) - 1) / M;
    return map == PF_MAP_HYPERBOLIC ? (1 - exp(-z)) * positive : positive;
}

static void print_cell(output *out, double variance) {
    output_printf(out, ",%.4g", 100 * sqrt(variance));
}

bool measure_variance(output *out, pf_error *error) {
    static const pf_map_kind maps[MAPS] = {PF_MAP_POSITIVE, PF_MAP_HYPERBOLIC, PF_MAP_TRIG};
    const size_t M = 64;
    scatter measured[MAPS];
    for (int i = 0; i < MAPS; i++)
        if (!measure(maps[i], PF_PROJECTION_IID, M, &measured[i], error)) return false;
    output_printf(
        out,
        "# standard deviation of the estimate, percent of exp(x.y), from %zu features\n"
        "# |x| = |y| = 1, D = %d, independent directions; measured: %d draws\n"
        "Z,positive,hyperbolic,trig,positive measured,hyperbolic measured,trig measured\n",
        M, D, DRAWS);
    for (int i = 0; i < LINE; i++) {
        double z = 4.0 * i / (LINE - 1);
        output_printf(out, "%.4g", z);
        for (int j = 0; j < MAPS; j++) print_cell(out, theory(maps[j], (double)M, z));
        output_printf(out, ",,,\n");
    }
    for (int i = 0; i < POINTS; i++) {
        output_printf(out, "%.4g,,,", measured[0].z[i]);
        for (int j = 0; j < MAPS; j++) print_cell(out, measured[j].error[i]);
        output_printf(out, "\n");
    }
    return true;
}

/* S(Z, d) of docs/favor.md, by its series. */
static double orthogonal_series(double z, double d) {
    enum { TERMS = 60 };
    double sum = 0, row = 1; /* the term (a, 0) */
    for (int a = 0; a < TERMS; a++) {
        double term = row;
        for (int b = 0; b < TERMS; b++) {
            sum += term;
            term *= z / 2 * (d / 2 + b) / ((b + 1) * (d / 2 + a + b));
        }
        row *= z / 2 * (d / 2 + a) / ((a + 1) * (d / 2 + a));
    }
    return sum;
}

bool measure_orthogonal(output *out, pf_error *error) {
    const size_t M = D;
    scatter iid, orthogonal;
    if (!measure(PF_MAP_POSITIVE, PF_PROJECTION_IID, M, &iid, error) ||
        !measure(PF_MAP_POSITIVE, PF_PROJECTION_ORTHOGONAL, M, &orthogonal, error))
        return false;
    output_printf(out,
                  "# standard deviation of the estimate, percent of exp(x.y), positive features\n"
                  "# |x| = |y| = 1, M = D = %d; measured: %d draws\n"
                  "Z,independent,orthogonal,independent measured,orthogonal measured\n",
                  D, DRAWS);
    for (int i = 0; i < LINE; i++) {
        double z = 4.0 * i / (LINE - 1), m = (double)M, variance = theory(PF_MAP_POSITIVE, m, z);
        output_printf(out, "%.4g", z);
        print_cell(out, variance);
        double less = (1 - 1 / m) * exp(-z) * (orthogonal_series(z, D) - exp(z));
        print_cell(out, fmax(0, variance + less));
        output_printf(out, ",,\n");
    }
    for (int i = 0; i < POINTS; i++) {
        output_printf(out, "%.4g,,", iid.z[i]);
        print_cell(out, iid.error[i]);
        print_cell(out, orthogonal.error[i]);
        output_printf(out, "\n");
    }
    return true;
}
