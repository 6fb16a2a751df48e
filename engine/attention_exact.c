/* floor 1.5 - exact attention: softmax over keys that are kept, in one pass over them. */
#include "attention_exact.h"

#include "matmul.h"

#include <math.h>
#include <string.h>

/* scores [n] = scale * K q */
static void score(const pf_kernels *kernels, const float *q, const float *K, size_t n, size_t D,
                  float scale, float *scores) {
    kernels->matvec((pf_matrix){PF_F32, n, D, K}, (pf_activation){.x = q}, scores, 0, n);
    kernels->scale(scores, scale, n);
}

void pf_exact_token(const float *q, const float *q_sink, size_t G, const float *K, const float *V,
                    size_t n, size_t n_sinks, size_t D, float scale, float *scores, pf_part part) {
    const pf_kernels *kernels = pf_kernels_get();
    if (n_sinks > n) n_sinks = n;
    for (size_t g = 0; g < G; g++) {
        if (n_sinks > 0) score(kernels, q_sink + g * D, K, n_sinks, D, scale, scores);
        if (n > n_sinks)
            score(kernels, q + g * D, K + n_sinks * D, n - n_sinks, D, scale, scores + n_sinks);
        part.scale[g] = kernels->max(scores, n);
        part.den[g] = kernels->exp_sum(scores, scores, part.scale[g], n);
        float *out = part.out + g * D;
        memset(out, 0, D * sizeof *out);
        for (size_t j = 0; j < n; j++) kernels->axpy(out, scores[j], V + j * D, D);
    }
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
