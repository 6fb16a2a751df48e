/* floor 5.4 - head rows: queries, keys and values of every layer, for the first tokens of a text. */
#ifndef HEAD_ROWS_H
#define HEAD_ROWS_H

#include "session.h"

typedef struct head_rows {
    const pf_model *model;
    size_t T;
    float *q;     /* [L, T, H * D] before RoPE */
    float *k, *v; /* [L, T, n_kv_heads * D] */
} head_rows;

/* What a session with these options shows to a tap while it reads ids [T]. */
bool head_rows_read(head_rows *rows, const pf_model *model, const pf_session_options *options,
                    const int32_t *ids, size_t T, pf_error *error);
void head_rows_free(head_rows *rows);

const float *head_rows_q(const head_rows *rows, uint32_t layer); /* [T, H * D] */
const float *head_rows_k(const head_rows *rows, uint32_t layer); /* [T, n_kv_heads * D] */
const float *head_rows_v(const head_rows *rows, uint32_t layer);

/* The vector of one head at token t, turned to its position and scaled by sqrt(s): x of a query, y of a key;
 * -> out [D]. */
void head_rows_x(const head_rows *rows, uint32_t layer, uint32_t head, size_t t, float *out);
void head_rows_y(const head_rows *rows, uint32_t layer, uint32_t kv_head, size_t t, float *out);

#endif
