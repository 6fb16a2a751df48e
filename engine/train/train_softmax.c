/* floor 2.3 - train softmax: exact attention of one head over one sequence, and its derivative. */
#include "train_softmax.h"

#include <string.h>
#include <tgmath.h>

size_t pf_softmax_scratch(size_t n) { return 2 * PF_SOFTMAX_TILE * n; }

static size_t tile_rows(size_t first, size_t n) {
    return n - first < PF_SOFTMAX_TILE ? n - first : PF_SOFTMAX_TILE;
}

/* scores [rows, keys] = scale q k^T for the queries first ... first + rows - 1 */
static void score(pf_head_rows in, size_t first, size_t rows, size_t keys, size_t D, pf_real scale,
                  pf_real *scores) {
    pf_real_gemm(false, true, rows, keys, D, scale, in.q + first * in.stride, in.stride, in.k,
                 in.stride, 0, scores, keys);
}

/* Nothing is seen beyond the diagonal. */
static void clear_future(pf_real *row, size_t seen, size_t keys) {
    memset(row + seen, 0, (keys - seen) * sizeof *row);
}

void pf_softmax_forward(pf_head_rows in, size_t n, size_t D, pf_real scale, pf_real *out,
                        size_t out_stride, pf_real *normalizer, size_t heads, pf_real *scratch) {
    for (size_t first = 0; first < n; first += PF_SOFTMAX_TILE) {
        size_t rows = tile_rows(first, n), keys = first + rows;
        score(in, first, rows, keys, D, scale, scratch);
        for (size_t i = 0; i < rows; i++) {
            pf_real *p = scratch + i * keys;
            size_t seen = first + i + 1;
            pf_real max = pf_real_max(p, seen), sum = pf_real_exp_sum(p, p, max, seen);
            pf_real_scale(p, 1 / sum, seen);
            clear_future(p, seen, keys);
            normalizer[(first + i) * heads] = max + log(sum);
        }
        pf_real_gemm(false, false, rows, D, keys, 1, scratch, keys, in.v, in.stride, 0,
                     out + first * out_stride, out_stride);
    }
}

void pf_softmax_backward(pf_head_rows in, size_t n, size_t D, pf_real scale, const pf_real *out,
                         const pf_real *d_out, size_t out_stride, const pf_real *normalizer,
                         size_t heads, pf_head_rows gradient, pf_real *scratch) {
    pf_real *P = scratch, *dS = scratch + PF_SOFTMAX_TILE * n;
    for (size_t first = 0; first < n; first += PF_SOFTMAX_TILE) {
        size_t rows = tile_rows(first, n), keys = first + rows;
        const pf_real *d_o = d_out + first * out_stride, *o = out + first * out_stride;
        score(in, first, rows, keys, D, scale, P);
        pf_real_gemm(false, true, rows, keys, D, 1, d_o, out_stride, in.v, in.stride, 0, dS, keys);
        for (size_t i = 0; i < rows; i++) {
            pf_real *p = P + i * keys, *ds = dS + i * keys;
            size_t seen = first + i + 1;
            pf_real delta = pf_real_dot(d_o + i * out_stride, o + i * out_stride, D);
            pf_real_exp_sum(p, p, normalizer[(first + i) * heads], seen);
            for (size_t j = 0; j < seen; j++) ds[j] = p[j] * (ds[j] - delta);
            clear_future(p, seen, keys);
            clear_future(ds, seen, keys);
        }
        pf_real_gemm(false, false, rows, D, keys, scale, dS, keys, in.k, in.stride, 0,
                     gradient.q + first * gradient.stride, gradient.stride);
        pf_real_gemm(true, false, keys, D, rows, scale, dS, keys, in.q + first * in.stride,
                     in.stride, 1, gradient.k, gradient.stride);
        pf_real_gemm(true, false, keys, D, rows, 1, P, keys, d_o, out_stride, 1, gradient.v,
                     gradient.stride);
    }
}
