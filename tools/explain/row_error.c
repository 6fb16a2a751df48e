/* floor 5.6 - row error: how far attention weights are from softmax's, over many draws. */
#include "row_error.h"

#include "memory.h"

#include <math.h>

pf_attention_options row_error_pure(const explain_run *run) {
    pf_attention_options attention = run->settings.favor.attention;
    attention.window = attention.sinks = 0;
    /* pf_session_new uses the file's sizes per head unless `features` differs from the file's. */
    if (run->model->head_features && attention.features == run->model->attention.features)
        attention.features = attention.features == 64 ? 62 : 64;
    return attention;
}

double row_distance(const explain_run *run, const float *weights) {
    double sum = 0;
    for (size_t t = 0; t < run->T; t++)
        sum += fabs((double)weights[t] - (double)run->softmax.weights[t]);
    return sum / 2;
}

/* One draw: the last token's row of the chosen head; *row points into weights. */
static bool measure_draw(const explain_run *run, pf_session *session, float *weights,
                         const float **row, pf_error *error) {
    if (!pf_attention_weights(session, run->settings.layer, run->q, run->k, run->T, weights, error))
        return false;
    *row = weights + (run->settings.head * run->T + run->last) * run->T;
    return true;
}

bool row_error_measure(const explain_run *run, const pf_attention_options *attention, size_t draws,
                       row_error *result, float *weights, pf_error *error) {
    pf_session_options options = run->settings.favor;
    options.attention = *attention;
    if (draws > 1) options.attention.redraw = PF_REDRAW_SEQUENCE;
    options.chunk = run->T < PF_QUERY_BLOCK ? run->T : PF_QUERY_BLOCK;
    size_t T = run->T;
    double sum = 0, squares = 0;
    *result = (row_error){.draws = draws, .least = INFINITY};
    pf_session *session = pf_session_new(run->model, &options, error);
    float *all = pf_calloc(run->model->n_heads * T, T * sizeof *all, "attention weights", error);
    bool good = session && all;
    for (size_t i = 0; good && i < draws; i++) {
        const float *row = NULL;
        if (i > 0) pf_session_reset(session);
        good = measure_draw(run, session, all, &row, error);
        if (!good) break;
        double distance = row_distance(run, row);
        sum += distance;
        squares += distance * distance;
        for (size_t t = 0; t < T; t++) {
            result->least = fmin(result->least, (double)row[t]);
            if (weights) weights[t] = row[t];
        }
    }
    double n = (double)draws;
    result->mean = sum / n;
    if (draws > 1)
        result->standard_error = sqrt(fmax(0, squares / n - result->mean * result->mean) / (n - 1));
    pf_free(all);
    pf_session_free(session);
    return good;
}
