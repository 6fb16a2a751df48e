/* floor 2.4 - tail sweep: the tails of one text's rows and their gradients, in chunks of keys. */
#include "tail_sweep.h"

#include "matmul.h"

#include <string.h>

enum { B = PF_SWEEP_CHUNK };

size_t pf_tail_sweep_sums(size_t n_keys, size_t M, size_t D) {
    return (n_keys / B + 2) * M * (D + 1);
}

size_t pf_tail_sweep_scratch(size_t G, size_t M, size_t D) { return 2 * G * B * B + M * (D + 1); }

/* A chunk of keys, and the rows whose last key is in it. */
typedef struct chunk {
    size_t key, n_keys; /* first key, keys */
    size_t row, n_rows; /* first row, rows */
} chunk;

static size_t last_limit(const pf_tail_sweep *s) {
    return s->n_rows > 0 ? s->limit[s->n_rows - 1] : 0;
}

/* The chunk that starts at `key`, with rows from `row` on. */
static chunk chunk_at(const pf_tail_sweep *s, size_t key, size_t row, size_t end) {
    chunk c = {key, end - key < B ? end - key : B, row, 0};
    while (row + c.n_rows < s->n_rows && s->limit[row + c.n_rows] <= key + c.n_keys) c.n_rows++;
    return c;
}

/* Sets A [n_rows * G, n_keys] to zero where a row does not see a key of its chunk. */
static void mask(const pf_tail_sweep *s, chunk c, float *A) {
    for (size_t i = 0; i < c.n_rows * s->G; i++) {
        size_t seen = s->limit[c.row + i / s->G] - c.key;
        memset(A + i * c.n_keys + seen, 0, (c.n_keys - seen) * sizeof *A);
    }
}

static size_t rows_without_tail(const pf_tail_sweep *s) {
    size_t row = 0;
    while (row < s->n_rows && s->limit[row] <= s->first) row++;
    return row;
}

void pf_tail_sweep_forward(const pf_tail_sweep *s, float *N, float *S, float *scratch) {
    size_t M = s->M, G = s->G, E = s->D + 1, row = rows_without_tail(s), end = last_limit(s);
    memset(N, 0, row * G * E * sizeof *N);
    memset(S, 0, M * E * sizeof *S);
    for (size_t key = s->first; key < end; key += B, S += M * E) {
        chunk c = chunk_at(s, key, row, end);
        const float *f_k = s->f_k + key * M, *V = s->V + key * E, *f_q = s->f_q + row * G * M;
        size_t queries = c.n_rows * G;
        pf_sgemm(false, true, queries, c.n_keys, M, 1, f_q, M, f_k, M, 0, scratch, c.n_keys);
        mask(s, c, scratch);
        pf_sgemm(false, false, queries, E, M, 1, f_q, M, S, E, 0, N + row * G * E, E);
        pf_sgemm(false, false, queries, E, c.n_keys, 1, scratch, c.n_keys, V, E, 1, N + row * G * E,
                 E);
        memcpy(S + M * E, S, M * E * sizeof *S);
        pf_sgemm(true, false, M, E, c.n_keys, 1, f_k, M, V, E, 1, S + M * E, E);
        row += c.n_rows;
    }
}

void pf_tail_sweep_backward(const pf_tail_sweep *s, const float *dN, const float *S, float *df_q,
                            float *df_k, float *scratch) {
    size_t M = s->M, G = s->G, E = s->D + 1, end = last_limit(s), skipped = rows_without_tail(s);
    float *A = scratch, *dA = A + G * B * B, *dS = dA + G * B * B;
    if (end < s->first) end = s->first;
    memset(df_q, 0, skipped * G * M * sizeof *df_q);
    memset(df_k, 0, s->first * M * sizeof *df_k);
    memset(df_k + end * M, 0, (s->n_keys - end) * M * sizeof *df_k);
    memset(dS, 0, M * E * sizeof *dS);
    size_t n_chunks = (end - s->first + B - 1) / B, row = s->n_rows;
    for (size_t i = n_chunks; i-- > 0;) {
        size_t key = s->first + i * B, rows = 0;
        while (row - rows > skipped && s->limit[row - rows - 1] > key) rows++;
        row -= rows;
        chunk c = {key, end - key < B ? end - key : B, row, rows};
        const float *f_k = s->f_k + key * M, *V = s->V + key * E, *f_q = s->f_q + row * G * M;
        const float *S_i = S + i * M * E, *dN_i = dN + row * G * E;
        size_t queries = rows * G;
        /* the gradient from later chunks' rows */
        pf_sgemm(false, true, c.n_keys, M, E, 1, V, E, dS, E, 0, df_k + key * M, M);
        if (rows == 0) continue;
        pf_sgemm(false, true, queries, c.n_keys, M, 1, f_q, M, f_k, M, 0, A, c.n_keys);
        mask(s, c, A);
        pf_sgemm(false, true, queries, c.n_keys, E, 1, dN_i, E, V, E, 0, dA, c.n_keys);
        mask(s, c, dA);
        pf_sgemm(false, true, queries, M, E, 1, dN_i, E, S_i, E, 0, df_q + row * G * M, M);
        pf_sgemm(false, false, queries, M, c.n_keys, 1, dA, c.n_keys, f_k, M, 1, df_q + row * G * M,
                 M);
        pf_sgemm(true, false, c.n_keys, M, queries, 1, dA, c.n_keys, f_q, M, 1, df_k + key * M, M);
        pf_sgemm(true, false, M, E, queries, 1, f_q, M, dN_i, E, 1, dS, E);
    }
}
