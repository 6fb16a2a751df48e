/* floor 5.5 - walk: one text through one model, and all that `explain` shows of one of its heads. */
#include "explain_run.h"

#include "terminal.h"

#include <math.h>

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *numbers(const float *x, size_t n) {
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(array, number((double)x[i]));
    return array;
}

static json_t *tokens_json(const walk *w) {
    json_t *array = json_array();
    for (size_t t = 0; t < w->T; t++) {
        size_t n = 0;
        const char *text = w->loaded->tokenizer
                               ? pf_tokenizer_bytes(w->loaded->tokenizer, w->ids[t], true, &n)
                               : NULL;
        json_array_append_new(array, json_pack("{s:i, s:o}", "id", (int)w->ids[t], "text",
                                               text ? json_text(text, n) : json_null()));
    }
    return array;
}

static json_t *best_json(const walk_side *side) {
    json_t *array = json_array();
    for (size_t b = 0; b < TOP_TOKENS && side->next.best[b] >= 0; b++) {
        double logit = (double)side->logits[side->next.best[b]];
        json_array_append_new(array,
                              json_pack("{s:i, s:f, s:f}", "id", (int)side->next.best[b], "logit",
                                        logit, "p", exp(logit - side->next.log_sum)));
    }
    return array;
}

static json_t *side_json(const walk *w, const walk_side *side) {
    return json_pack("{s:o, s:o, s:o, s:I}", "weights", numbers(side->weights, w->T), "out",
                     numbers(side->out, w->model->head_dim), "best", best_json(side),
                     "bad_denominators", (json_int_t)side->bad_denominators);
}

static json_t *softmax_json(const walk *w) {
    const head_trace *trace = &w->softmax.trace;
    json_t *side = side_json(w, &w->softmax);
    json_object_set_new(side, "scores", numbers(trace->scores + w->last * w->T, w->T));
    json_object_set_new(
        side, "log_denominator",
        number((double)trace->exact_scale[w->last] + log((double)trace->exact_den[w->last])));
    return side;
}

static json_t *favor_json(const walk *w) {
    const head_trace *trace = &w->favor.trace;
    json_t *side = side_json(w, &w->favor), *estimates = json_array(), *z = json_array();
    size_t D = trace->D, M = trace->M, t = w->last;
    for (size_t j = 0; j < w->T; j++) {
        int sign = 0;
        double estimate = M ? head_trace_estimate(trace, t, j, &sign) : -INFINITY;
        json_array_append_new(estimates,
                              json_pack("{s:i, s:o}", "sign", sign, "log", number(estimate)));
        json_array_append_new(z, number(head_trace_z(trace, w->model->attention_scale, t, j)));
    }
    json_object_set_new(side, "map", json_string(M ? pf_map_name(trace->map) : "none"));
    json_object_set_new(side, "features", json_integer((json_int_t)M));
    json_object_set_new(side, "window", json_integer((json_int_t)trace->window));
    json_object_set_new(side, "sinks", json_integer((json_int_t)trace->sinks));
    json_object_set_new(side, "estimates", estimates);
    json_object_set_new(side, "z_of_pairs", z);
    if (M == 0) return side;
    json_object_set_new(side, "phi_q", numbers(trace->phi_q + t * M, M));
    json_object_set_new(side, "phi_k", numbers(trace->phi_k + t * M, M));
    json_object_set_new(side, "phi_q_log_scale", number((double)trace->q_scale[t]));
    json_object_set_new(side, "phi_k_log_scales", numbers(trace->k_scale, w->T));
    json_object_set_new(side, "running_maximum", numbers(trace->top, w->T));
    json_object_set_new(side, "z", numbers(trace->z, M));
    json_object_set_new(side, "S_first_row", numbers(trace->S, D));
    json_object_set_new(side, "tail_out", numbers(trace->tail_out, D));
    return side;
}

static json_t *rows_json(const walk *w) {
    const pf_model *m = w->model;
    size_t C = m->width, D = m->head_dim;
    const head_trace *trace = &w->softmax.trace;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "embedding",
        numbers(w->embedding, C), "norm", numbers(w->attention_norm, C), "q", numbers(walk_q(w), D),
        "k", numbers(walk_k(w), D), "v", numbers(walk_v(w), D), "q_turned",
        numbers(trace->q + w->last * D, D), "k_turned", numbers(trace->k + w->last * D, D),
        "attention_output", numbers(w->attention_output, C), "attention_residual",
        numbers(w->attention_residual, C), "mlp_output", numbers(w->mlp_output, C), "layer_output",
        numbers(w->layer_output, C), "final_norm", numbers(w->final_norm, C));
}

json_t *walk_json(const walk *w) {
    return json_pack("{s:s, s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:f}", "family", w->model->family,
                     "layer", (int)w->settings.layer, "head", (int)w->settings.head, "to",
                     w->settings.favor_leads ? "favor" : "softmax", "tokens", tokens_json(w),
                     "rows", rows_json(w), "softmax", softmax_json(w), "favor", favor_json(w), "kl",
                     w->kl);
}
