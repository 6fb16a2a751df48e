/* floor 5.5 - explain run JSON: everything that `explain` shows, as JSON. */
#include "explain_run.h"

#include "terminal.h"

#include <math.h>

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *numbers(const float *x, size_t n) {
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(array, number((double)x[i]));
    return array;
}

static json_t *tokens_json(const explain_run *run) {
    json_t *array = json_array();
    for (size_t t = 0; t < run->T; t++) {
        size_t n = 0;
        const char *text = run->loaded->tokenizer
                               ? pf_tokenizer_bytes(run->loaded->tokenizer, run->ids[t], true, &n)
                               : NULL;
        json_array_append_new(array, json_pack("{s:i, s:o}", "id", (int)run->ids[t], "text",
                                               text ? json_text(text, n) : json_null()));
    }
    return array;
}

static json_t *best_json(const explain_side *side) {
    json_t *array = json_array();
    for (size_t b = 0; b < TOP_TOKENS && side->next.best[b] >= 0; b++) {
        double logit = (double)side->logits[side->next.best[b]];
        json_array_append_new(array,
                              json_pack("{s:i, s:f, s:f}", "id", (int)side->next.best[b], "logit",
                                        logit, "p", exp(logit - side->next.log_sum)));
    }
    return array;
}

static json_t *side_json(const explain_run *run, const explain_side *side) {
    return json_pack("{s:o, s:o, s:o, s:I}", "weights", numbers(side->weights, run->T), "out",
                     numbers(side->out, run->model->head_dim), "best", best_json(side),
                     "bad_denominators", (json_int_t)side->bad_denominators);
}

static json_t *softmax_json(const explain_run *run) {
    const head_trace *trace = &run->softmax.trace;
    json_t *side = side_json(run, &run->softmax);
    json_object_set_new(side, "scores", numbers(trace->scores + run->last * run->T, run->T));
    json_object_set_new(
        side, "log_denominator",
        number((double)trace->exact_scale[run->last] + log((double)trace->exact_den[run->last])));
    return side;
}

static json_t *favor_json(const explain_run *run) {
    const head_trace *trace = &run->favor.trace;
    json_t *side = side_json(run, &run->favor), *estimates = json_array(), *z = json_array();
    size_t D = trace->D, M = trace->M, t = run->last;
    for (size_t j = 0; j < run->T; j++) {
        int sign = 0;
        double estimate = M ? head_trace_estimate(trace, t, j, &sign) : -INFINITY;
        json_array_append_new(estimates,
                              json_pack("{s:i, s:o}", "sign", sign, "log", number(estimate)));
        json_array_append_new(z, number(head_trace_z(trace, run->model->attention_scale, t, j)));
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
    json_object_set_new(side, "phi_k_log_scales", numbers(trace->k_scale, run->T));
    json_object_set_new(side, "running_maximum", numbers(trace->top, run->T));
    json_object_set_new(side, "z", numbers(trace->z, M));
    json_object_set_new(side, "S_first_row", numbers(trace->S, D));
    json_object_set_new(side, "tail_out", numbers(trace->tail_out, D));
    return side;
}

static json_t *rows_json(const explain_run *run) {
    const pf_model *m = run->model;
    size_t C = m->width, D = m->head_dim;
    const head_trace *trace = &run->softmax.trace;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "embedding",
        numbers(run->embedding, C), "norm", numbers(run->attention_norm, C), "q",
        numbers(explain_run_q(run), D), "k", numbers(explain_run_k(run), D), "v",
        numbers(explain_run_v(run), D), "q_turned", numbers(trace->q + run->last * D, D),
        "k_turned", numbers(trace->k + run->last * D, D), "attention_output",
        numbers(run->attention_output, C), "attention_residual",
        numbers(run->attention_residual, C), "mlp_output", numbers(run->mlp_output, C),
        "layer_output", numbers(run->layer_output, C), "final_norm", numbers(run->final_norm, C));
}

json_t *explain_run_json(const explain_run *run) {
    return json_pack("{s:s, s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:f}", "family", run->model->family,
                     "layer", (int)run->settings.layer, "head", (int)run->settings.head, "to",
                     run->settings.favor_leads ? "favor" : "softmax", "tokens", tokens_json(run),
                     "rows", rows_json(run), "softmax", softmax_json(run), "favor", favor_json(run),
                     "kl", run->kl);
}
