/* floor 5.4 - QKV rows: queries, keys and values of every layer, for the first tokens of a text. */
#include "qkv_rows.h"

#include "memory.h"

#include <math.h>
#include <string.h>

enum { MOST_DIMS = 1024 };

static size_t width_q(const qkv_rows *r) { return (size_t)r->model->n_heads * r->model->head_dim; }
static size_t width_kv(const qkv_rows *r) {
    return (size_t)r->model->n_kv_heads * r->model->head_dim;
}

static void keep(void *context, pf_tap_point point, uint32_t layer, size_t first, const float *rows,
                 size_t n, size_t cols) {
    qkv_rows *r = context;
    float *all = point == PF_TAP_Q   ? r->q
                 : point == PF_TAP_K ? r->k
                 : point == PF_TAP_V ? r->v
                                     : NULL;
    if (all) memcpy(all + (layer * r->T + first) * cols, rows, n * cols * sizeof *rows);
}

bool qkv_rows_read(qkv_rows *rows, const pf_model *model, const pf_session_options *options,
                   const int32_t *ids, size_t T, pf_error *error) {
    *rows = (qkv_rows){.model = model, .T = T, .context = options->context};
    size_t n = model->n_layers * T;
    rows->q = pf_calloc(n, width_q(rows) * sizeof(float), "the heads' rows", error);
    rows->k = pf_calloc(n, width_kv(rows) * sizeof(float), "the heads' rows", error);
    rows->v = pf_calloc(n, width_kv(rows) * sizeof(float), "the heads' rows", error);
    if (!rows->q || !rows->k || !rows->v) return false;
    pf_session *session = pf_session_new(model, options, error);
    if (!session) return false;
    pf_session_set_tap(session, keep, rows);
    bool good = pf_session_append(session, ids, T, NULL, 0, error);
    pf_session_free(session);
    return good;
}

void qkv_rows_free(qkv_rows *rows) {
    pf_free(rows->q);
    pf_free(rows->k);
    pf_free(rows->v);
    *rows = (qkv_rows){0};
}

const float *qkv_rows_q(const qkv_rows *r, uint32_t layer) {
    return r->q + layer * r->T * width_q(r);
}
const float *qkv_rows_k(const qkv_rows *r, uint32_t layer) {
    return r->k + layer * r->T * width_kv(r);
}
const float *qkv_rows_v(const qkv_rows *r, uint32_t layer) {
    return r->v + layer * r->T * width_kv(r);
}

static void place(const qkv_rows *r, uint32_t layer, const float *from, size_t t, float *out) {
    const pf_model *m = r->model;
    size_t D = m->head_dim;
    memcpy(out, from, D * sizeof *out);
    pf_rotary rotary = pf_model_rotary(m, layer, r->context);
    if (rotary.dim > 0 && rotary.dim <= MOST_DIMS) {
        double frequency[MOST_DIMS / 2];
        float angles[MOST_DIMS];
        pf_rope_frequencies(rotary.base, rotary.factors, rotary.dim, frequency);
        pf_rope_angles(frequency, rotary.dim / 2, t, angles);
        pf_rope_turn(m->position, rotary.dim / 2, angles, out, false);
    }
    for (size_t d = 0; d < D; d++) out[d] *= sqrtf(m->attention_scale);
}

void qkv_rows_x(const qkv_rows *r, uint32_t layer, uint32_t head, size_t t, float *out) {
    place(r, layer, qkv_rows_q(r, layer) + t * width_q(r) + head * r->model->head_dim, t, out);
}

void qkv_rows_y(const qkv_rows *r, uint32_t layer, uint32_t kv_head, size_t t, float *out) {
    place(r, layer, qkv_rows_k(r, layer) + t * width_kv(r) + kv_head * r->model->head_dim, t, out);
}
