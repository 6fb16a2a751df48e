/* floor 1.1 - kernels: the inner loops, one table per instruction set, chosen at run time.
 *
 * kernels_plain.c defines every kernel; the tests compare the other tables with it. Those do the
 * same work with vector instructions: kernels_avx2.c (AVX2, FMA, F16C) and kernels_avx512.c
 * (AVX-512 F, BW, DQ, VL, and VNNI if present) for x86-64, kernels_neon.c (with SDOT if present)
 * for aarch64. Each table for x86-64 has a twin for AMD's processors, "-amd", which differs only in
 * what was measured to be faster there: hints to prefetch (prefetch_x86.h), 256-bit unpacking. The
 * choice is made once, from what processor and operating system support and from the maker's name;
 * the compiler's -march plays no part, and nothing is timed.
 *
 * Every kernel, unless its comment says otherwise:
 *   Shapes      Row-major: element (i, j) of A [n, D] is A[i * D + j].
 *   Alignment   Pointers may be unaligned.
 *   Aliasing    Outputs overlap neither inputs nor each other; inputs may overlap.
 *   Rounding    One table gives the same bits for the same input. Tables add in different orders,
 *               so their sums differ by rounding. Equal bits in all tables: scale, max, to_f16,
 *               quantize_activation, dequantize_row.
 *   Memory      Nothing is allocated.
 */
#ifndef PF_KERNELS_H
#define PF_KERNELS_H

#include "tensor.h"

/* Activations quantised to int8, for products with quantised weights. In blocks b of 32 values:
 *   x[i] ~ scale[b] * q[i],   sum[b] = scale[b] * (sum of q[i] over the block)
 * A weight w = d * q_w + m needs sum for its offset m. */
typedef struct pf_activation {
    const float *x;     /* [n] the floats themselves */
    int8_t *q;          /* [n rounded up to 32]; NULL: use the floats (--float-activations) */
    float *scale, *sum; /* [ceil(n / 32)] each */
} pf_activation;

/* For gemm: most tokens in one call; floats of workspace per column of a panel of weights. */
enum { PF_GEMM_TOKENS = 256, PF_GEMM_PANEL_FLOATS = 52 };

/* Softmax attention of a tile of queries, on the way through the keys (online softmax, Milakov &
 * Gimelshein 2018). Column t belongs to query t. Over the keys j that it has seen so far:
 *   running_max[t] = max_j q_t.k_j
 *   den[t]         = sum_j exp(q_t.k_j - running_max[t])
 *   out[., t]      = sum_j exp(q_t.k_j - running_max[t]) v_j
 * so its row of attention is out / den. At the start running_max = -INFINITY and out = den = 0. */
enum { PF_TILE_QUERIES = 32, PF_TILE_KEYS = 128 };
typedef struct pf_query_tile {
    size_t n;       /* queries, <= PF_TILE_QUERIES; the columns after them hold no results */
    float *q, *out; /* [D, PF_TILE_QUERIES]; q already multiplied by the scale of scores */
    float *den, *running_max; /* [PF_TILE_QUERIES] */
    float *scores;            /* [PF_TILE_KEYS, PF_TILE_QUERIES] scratch */
} pf_query_tile;

typedef struct pf_kernels {
    /* "plain", "avx2", "avx512", "avx512-vnni", these three with "-amd", "neon", "neon-dotprod" */
    const char *name;

    /* ---- vectors of n floats ---- */

    float (*dot)(const float *a, const float *b, size_t n);        /* sum a_i b_i */
    void (*axpy)(float *y, float alpha, const float *x, size_t n); /* y += alpha x */
    void (*scale)(float *y, float alpha, size_t n);                /* y *= alpha */
    float (*max)(const float *x, size_t n); /* n >= 1; ignores NaN, unless x_0 is */

    /* y_i = exp(x_i - shift); returns sum y_i. Each y_i is within 2 ulp, and 0 where
     * x_i - shift < -87. The caller ensures x_i - shift <= 88. y may be x. */
    float (*exp_sum)(float *y, const float *x, float shift, size_t n);

    /* y = x / sqrt(mean(x^2) + eps) * weight; y may be x */
    void (*rms_norm)(float *y, const float *x, const float *weight, float eps, size_t n);
    /* y = (x - mean) / sqrt(variance + eps) * weight + bias (bias may be NULL); y may be x */
    void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, float eps,
                       size_t n);

    /* gate_i = silu(gate_i) * up_i with silu(x) = x / (1 + exp(-x)) */
    void (*swiglu)(float *gate, const float *up, size_t n);
    /* x_i = gelu(x_i) (Hendrycks & Gimpel 2016), by tanh or exactly; within 3e-7 max(1, |x_i|) */
    void (*gelu_tanh)(float *x, size_t n);
    void (*gelu_erf)(float *x, size_t n);

    void (*to_f16)(uint16_t *y, const float *x, size_t n); /* rounds to nearest, ties to even */

    /* ---- attention ---- */

    /* FAVOR+, one token of one head, in a single pass over S [M, D] and z [M]:
     *   first  S = decay * S + phi_k v^T,  z = decay * z + phi_k     (skipped if phi_k is NULL)
     *   then   out_g = phi_q_g S,          den_g = phi_q_g . z       for G queries that share S
     * phi_k [M], v [D] (NULL with phi_k), phi_q [G, M], out [G, D], den [G]. */
    void (*favor_step)(float *S, float *z, size_t M, size_t D, float decay, const float *phi_k,
                       const float *v, const float *phi_q, size_t G, float *out, float *den);

    /* One token against n cached rows, F32 or F16; each row is read once for all G queries:
     *   scores[g * ld + j] = scale * q_g . K_j            q [G, D], K [n, D], ld >= n
     *   out_g = sum_j weights[g * ld + j] V_j             out [G, D], V [n, D] */
    void (*scores)(const float *q, size_t G, pf_matrix K, float scale, float *scores, size_t ld);
    void (*weighted_rows)(const float *weights, size_t ld, size_t G, pf_matrix V, float *out);

    /* Takes a tile of queries past n <= PF_TILE_KEYS more keys; K, V [n, D]. Query t sees the keys
     * max(0, first + t) <= j < min(n, last + t). */
    void (*flash_attention)(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                            size_t D, ptrdiff_t first, ptrdiff_t last);

    /* ---- products with weights ---- */

    /* Quantises a.x [n] into a.q, a.scale and a.sum; n is a multiple of 32. Per block of 32:
     * scale = max|x| / 127, q = x / scale rounded to nearest, 0 for NaN and infinity. */
    void (*quantize_activation)(pf_activation a, size_t n);

    /* y[r] = (row r of W) . x for begin <= r < end. Uses the floats a.x for F32, F16 and BF16, and
     * for every type if a.q is NULL; otherwise the int8 activations. */
    void (*matvec)(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);

    /* Y[t * ldy + r] = (row t of X) . (row r of W) for t < T <= PF_GEMM_TOKENS and the rows
     * begin <= r < end; rows of X are ldx floats apart. With int8 set, X is quantised where this
     * table is faster that way for the type of W; otherwise the floats are used. Every element of
     * Y has the same bits for any T, begin and end. workspace: pf_gemm_workspace_floats(W.cols)
     * floats, aligned to PF_ALIGN. NULL in tables that leave this product to BLAS. */
    void (*gemm)(pf_matrix W, const float *X, size_t ldx, size_t T, bool int8, float *Y, size_t ldy,
                 size_t begin, size_t end, float *workspace);

    /* values [n] = n weights of a row, with the bits of pf_dequantize_row (quant.h). */
    void (*dequantize_row)(pf_type type, const void *row, float *values, size_t n);
} pf_kernels;

/* The best table for this machine: the same pointer at every call, from any thread. The environment
 * variable PF_KERNELS=NAME asks for another of them by name, for tests and comparisons. */
const pf_kernels *pf_kernels_get(void);

/* All tables that this machine can run, plain first; *count of them. For tests and benchmarks. */
const pf_kernels *const *pf_kernels_all(size_t *count);

/* Floats of workspace that gemm needs for matrices of up to max_cols columns. */
size_t pf_gemm_workspace_floats(size_t max_cols);

/* The tables. Only the dispatch (kernels.c) and tables that borrow kernels use these names. */
extern const pf_kernels pf_kernels_plain;
#if defined(__x86_64__)
extern const pf_kernels pf_kernels_avx2, pf_kernels_avx512, pf_kernels_avx512vnni;
extern const pf_kernels pf_kernels_avx2_amd, pf_kernels_avx512_amd, pf_kernels_avx512vnni_amd;
#elif defined(__aarch64__)
extern const pf_kernels pf_kernels_neon, pf_kernels_neondot;
#endif

#endif
