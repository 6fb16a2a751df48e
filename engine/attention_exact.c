/* floor 1.5 - exact attention: softmax over keys that are kept, in one pass over them. */
#include "attention_exact.h"

#include "matmul.h"

#include <math.h>
#include <string.h>

enum { KEYS_IN_CACHE = 64 }; /* met by all queries of a group before the next ones are read */

/* scores [G, n]: row g from column `first` to `last` = scale * K q_g */
static void score(const pf_kernels *kernels, const float *q, size_t G, const float *K, size_t n,
                  size_t first, size_t last, size_t D, float scale, float *scores) {
    for (size_t j = first; j < last; j += KEYS_IN_CACHE) {
        size_t count = last - j < KEYS_IN_CACHE ? last - j : KEYS_IN_CACHE;
        for (size_t g = 0; g < G; g++) {
            float *row = scores + g * n + j;
            kernels->matvec((pf_matrix){PF_F32, count, D, K + j * D},
                            (pf_activation){.x = q + g * D}, row, 0, count);
            kernels->scale(row, scale, count);
        }
    }
}

void pf_exact_token(const float *q, const float *q_sink, size_t G, const float *K, const float *V,
                    size_t n, size_t n_sinks, size_t D, float scale, float *scores, pf_part part) {
    const pf_kernels *kernels = pf_kernels_get();
    if (n_sinks > n) n_sinks = n;
    score(kernels, q_sink, G, K, n, 0, n_sinks, D, scale, scores);
    score(kernels, q, G, K, n, n_sinks, n, D, scale, scores);
    for (size_t g = 0; g < G; g++) {
        float *row = scores + g * n;
        part.scale[g] = kernels->max(row, n);
        part.den[g] = kernels->exp_sum(row, row, part.scale[g], n);
    }
    kernels->weighted_rows(scores, G, V, n, D, part.out);
}

static ptrdiff_t clamp(ptrdiff_t x, ptrdiff_t low, ptrdiff_t high) {
    return x < low ? low : x > high ? high : x;
}

void pf_exact_rows(const float *q, size_t T, const float *K, const float *V, size_t n,
                   ptrdiff_t first, ptrdiff_t last, size_t D, float scale, float *scores,
                   pf_part part) {
    const pf_kernels *kernels = pf_kernels_get();
    ptrdiff_t keys = (ptrdiff_t)n;
    ptrdiff_t begin = clamp(first, 0, keys), end = clamp(last + (ptrdiff_t)T - 1, 0, keys);
    for (ptrdiff_t block = begin; block < end; block += PF_EXACT_BLOCK) {
        ptrdiff_t size = end - block < PF_EXACT_BLOCK ? end - block : PF_EXACT_BLOCK;
        size_t width = (size_t)size;
        const float *K_block = K + (size_t)block * D, *V_block = V + (size_t)block * D;
        pf_sgemm(false, true, T, width, D, scale, q, D, K_block, D, 0, scores, width);
        for (size_t t = 0; t < T; t++) {
            float *row = scores + t * width;
            ptrdiff_t low = clamp(first + (ptrdiff_t)t - block, 0, size);
            ptrdiff_t high = clamp(last + (ptrdiff_t)t - block, 0, size);
            if (low >= high) {
                memset(row, 0, width * sizeof *row);
                continue;
            }
            float top = kernels->max(row + low, (size_t)(high - low));
            if (top > part.scale[t]) {
                float keep = part.scale[t] == -INFINITY ? 0 : expf(part.scale[t] - top);
                kernels->scale(part.out + t * D, keep, D);
                part.den[t] *= keep;
                part.scale[t] = top;
            }
            part.den[t] +=
                kernels->exp_sum(row + low, row + low, part.scale[t], (size_t)(high - low));
            memset(row, 0, (size_t)low * sizeof *row);
            memset(row + high, 0, (size_t)(size - high) * sizeof *row);
        }
        pf_sgemm(false, false, T, D, width, 1, scores, width, V_block, D, 1, part.out, D);
    }
}
