/* floor 5.4 - QKV rows: queries, keys and values of every layer, for the first tokens of a text. */
#ifndef QKV_ROWS_H
#define QKV_ROWS_H

#include "session.h"

typedef struct qkv_rows {
    const pf_model *model;
    size_t T, context; /* tokens; the session's context */
    float *q;          /* [L, T, H * D] before RoPE */
    float *k, *v;      /* [L, T, n_kv_heads * D] */
} qkv_rows;

/* Records what a tap sees while a session with these options reads ids [T]. Free in either case. */
bool qkv_rows_read(qkv_rows *rows, const pf_model *model, const pf_session_options *options,
                   const int32_t *ids, size_t T, pf_error *error);
void qkv_rows_free(qkv_rows *rows);

const float *qkv_rows_q(const qkv_rows *rows, uint32_t layer); /* [T, H * D] */
const float *qkv_rows_k(const qkv_rows *rows, uint32_t layer); /* [T, n_kv_heads * D] */
const float *qkv_rows_v(const qkv_rows *rows, uint32_t layer);

/* The query x (or key y) of one head at token t, after RoPE and scaled by sqrt(s) with the
 * attention scale s, to out [D]. */
void qkv_rows_x(const qkv_rows *rows, uint32_t layer, uint32_t head, size_t t, float *out);
void qkv_rows_y(const qkv_rows *rows, uint32_t layer, uint32_t kv_head, size_t t, float *out);

#endif
