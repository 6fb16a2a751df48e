/* floor 5.4 - head trace: one head's attention, token by token, as the engine computes it. */
#include "head_trace.h"

#include "attention_exact.h"
#include "kernels.h"
#include "memory.h"
#include "soft_cap.h"

#include <math.h>
#include <string.h>

typedef struct observer {
    head_trace *trace;
    const pf_model *model;
    const float *q, *k;  /* rows of the layer, before RoPE */
    uint32_t kv_head, g; /* g: the query head within its group */
    float *scratch;      /* for features and scores; two rows */
} observer;

/* The row, rotated to its position. */
static void rotated(const pf_attention_config *config, size_t position, const float *row,
                    float *to) {
    memcpy(to, row, config->model->head_dim * sizeof *to);
    pf_head_rotate(config, position, to, false);
}

static void trace_exact(head_trace *trace, const pf_head_view *view, size_t t, float *scratch) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t D = trace->D, T = trace->T;
    const float *q = trace->q + t * D;
    pf_score score = pf_model_score(view->config->model);
    for (size_t j = 0; j <= t; j++) {
        float *of_pair = &trace->scores[t * T + j];
        *of_pair = score.scale * kernels->dot(q, trace->k + j * D, D);
        pf_soft_cap(of_pair, 1, score.cap);
    }
    pf_partial part = {scratch, trace->exact_den + t, trace->exact_scale + t};
    pf_matrix keys = {PF_F32, t + 1, D, trace->k};
    pf_exact_token(q, q, 1, keys, keys, 0, pf_model_score(view->config->model), scratch + D, part);
}

static void trace_features(observer *o, const pf_head_view *view, size_t t, const float *q,
                           const float *k) {
    head_trace *trace = o->trace;
    const pf_kernels *kernels = pf_kernels_get();
    const pf_head_features *features = &view->head->features;
    size_t D = trace->D, M = trace->M, index = o->g / (features->G / features->n_tails);
    const pf_favor_state *tail = &view->head->tails[index];
    float *phi_q = trace->phi_q + t * M;
    pf_features_apply(&features->q[o->g], trace->tail_rope ? trace->q + t * D : q, D, 1, phi_q,
                      trace->q_scale + t, o->scratch);
    pf_features_apply(&features->k[index], trace->tail_rope ? trace->k + t * D : k, D, 1,
                      trace->phi_k + t * M, trace->k_scale + t, o->scratch);
    trace->top[t] = *tail->running_max;
    memcpy(trace->S, tail->S, M * D * sizeof *trace->S);
    memcpy(trace->z, tail->z, M * sizeof *trace->z);
    /* Without a key, this only reads. */
    kernels->favor_step(trace->S, trace->z, M, D, 1, NULL, NULL, phi_q, 1, trace->tail_out,
                        trace->den + t);
    if (trace->den[t] != 0) kernels->scale(trace->tail_out, 1 / trace->den[t], D);
}

static void observe(void *context, size_t position, const pf_head_view *view) {
    observer *o = context;
    head_trace *trace = o->trace;
    size_t D = trace->D, group = o->kv_head * pf_attention_group(view->config) + o->g;
    const float *q = o->q + (position * o->model->n_heads + group) * D;
    const float *k = o->k + (position * o->model->n_kv_heads + o->kv_head) * D;
    trace->window = view->head->window;
    trace->sinks = view->config->options.sinks;
    trace->tail_rope = view->config->tail_rope;
    rotated(view->config, position, q, trace->q + position * D);
    rotated(view->config, position, k, trace->k + position * D);
    trace_exact(trace, view, position, o->scratch);
    if (view->head->tails) trace_features(o, view, position, q, k);
}

/* Only looks up the head's map and number of features. */
static void count_features(void *context, size_t position, const pf_head_view *view) {
    head_trace *trace = context;
    (void)position;
    if (!view->head->tails) return;
    trace->M = view->head->tails[0].M;
    trace->map = view->head->features.k[0].map;
}

static bool allocate(head_trace *trace, size_t HD, pf_error *error) {
    size_t T = trace->T, D = trace->D, M = trace->M, floats = 0;
    struct {
        float **array;
        size_t n;
    } arrays[] = {{&trace->q, T * D},     {&trace->k, T * D},       {&trace->scores, T * T},
                  {&trace->phi_q, T * M}, {&trace->phi_k, T * M},   {&trace->q_scale, T},
                  {&trace->k_scale, T},   {&trace->top, T},         {&trace->den, T},
                  {&trace->tail_out, D},  {&trace->S, M * D},       {&trace->z, M},
                  {&trace->exact_den, T}, {&trace->exact_scale, T}, {&trace->out, T * HD}};
    size_t count = sizeof arrays / sizeof arrays[0];
    for (size_t i = 0; i < count; i++) floats += arrays[i].n;
    trace->memory = pf_calloc(floats, sizeof(float), "what explain shows of a head", error);
    if (!trace->memory) return false;
    float *next = trace->memory;
    for (size_t i = 0; i < count; i++) {
        *arrays[i].array = next;
        next += arrays[i].n;
    }
    return true;
}

bool head_trace_new(head_trace *trace, pf_session *session, uint32_t layer, uint32_t head,
                    const float *q, const float *k, const float *v, size_t T, pf_error *error) {
    const pf_model *model = pf_session_model(session);
    uint32_t G = model->n_heads / model->n_kv_heads;
    size_t D = model->head_dim, HD = model->n_heads * D;
    *trace = (head_trace){.T = T, .D = D};
    observer o = {trace, model, q, k, head / G, head % G, NULL};
    float *first = pf_calloc(HD, sizeof *first, "what explain shows of a head", error);
    bool good = first && pf_attention_observe(session, layer, o.kv_head, q, k, v, 1, first,
                                              count_features, trace, error);
    pf_free(first);
    if (!good || !allocate(trace, HD, error)) return false;
    size_t scratch = pf_features_scratch(D, trace->M, 1);
    if (scratch < D + T) scratch = D + T;
    o.scratch = pf_calloc(scratch, sizeof *o.scratch, "what explain shows of a head", error);
    good = o.scratch && pf_attention_observe(session, layer, o.kv_head, q, k, v, T, trace->out,
                                             observe, &o, error);
    pf_free(o.scratch);
    return good;
}

void head_trace_free(head_trace *trace) {
    pf_free(trace->memory);
    *trace = (head_trace){0};
}

double head_trace_estimate(const head_trace *trace, size_t t, size_t j, int *sign) {
    size_t M = trace->M;
    double sum = 0;
    for (size_t m = 0; m < M; m++)
        sum += (double)trace->phi_q[t * M + m] * (double)trace->phi_k[j * M + m];
    *sign = (sum > 0) - (sum < 0);
    if (sum == 0) return -INFINITY;
    return log(fabs(sum)) + (double)trace->q_scale[t] + (double)trace->k_scale[j];
}

double head_trace_z(const head_trace *trace, float scale, size_t t, size_t j) {
    size_t D = trace->D;
    double sum = 0;
    for (size_t d = 0; d < D; d++) {
        double x = (double)trace->q[t * D + d] + (double)trace->k[j * D + d];
        sum += x * x;
    }
    return sum * (double)scale;
}
