/* floor 5.6 - row error: how far an attention's weights are from softmax's, over many draws of features. */
#include "row_error.h"

#include "memory.h"

#include <math.h>

pf_attention_options row_error_pure(const walk *w) {
    pf_attention_options attention = w->settings.favor.attention;
    attention.window = attention.sinks = 0;
    /* sizes per head hold as long as nobody asks for others (session.c): ask */
    if (w->model->head_features && attention.features == w->model->attention.features)
        attention.features = attention.features == 64 ? 62 : 64;
    return attention;
}

double row_distance(const walk *w, const float *weights) {
    double sum = 0;
    for (size_t t = 0; t < w->T; t++)
        sum += fabs((double)weights[t] - (double)w->softmax.weights[t]);
    return sum / 2;
}

/* One draw: the row of the walk's head, into row [T]. */
static bool measure_draw(const walk *w, pf_session *session, float *weights, const float **row,
                         pf_error *error) {
    if (!pf_attention_weights(session, w->settings.layer, w->q, w->k, w->T, weights, error))
        return false;
    *row = weights + (w->settings.head * w->T + w->last) * w->T;
    return true;
}

bool row_error_measure(const walk *w, const pf_attention_options *attention, size_t draws,
                       row_error *result, float *weights, pf_error *error) {
    pf_session_options options = w->settings.favor;
    options.attention = *attention;
    if (draws > 1) options.attention.redraw = PF_REDRAW_SEQUENCE;
    options.chunk = w->T < PF_QUERY_BLOCK ? w->T : PF_QUERY_BLOCK;
    size_t T = w->T;
    double sum = 0, squares = 0;
    *result = (row_error){.draws = draws, .least = INFINITY};
    pf_session *session = pf_session_new(w->model, &options, error);
    float *all = pf_calloc(w->model->n_heads * T, T * sizeof *all, "attention weights", error);
    bool good = session && all;
    for (size_t i = 0; good && i < draws; i++) {
        const float *row = NULL;
        if (i > 0) pf_session_reset(session);
        good = measure_draw(w, session, all, &row, error);
        if (!good) break;
        double distance = row_distance(w, row);
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
