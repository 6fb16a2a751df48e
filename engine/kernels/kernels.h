/* floor 1.1 - kernels: the inner loops, one table per instruction set, chosen at run time.
 *
 * kernels_plain.c is the definition of every kernel and the oracle of the others in the tests;
 * kernels_avx2.c and kernels_avx512.c are the same functions for x86-64 with AVX2 + FMA (+ F16C) and
 * with AVX-512 (F, BW, DQ, VL), the latter with VNNI where present. The choice is made once, by CPUID
 * and XCR0 (what the processor has *and* the operating system saves), never by -march. kernels_neon.c
 * is for aarch64, with SDOT (matvec_neondot.c) where the system reports it.
 * All pointers may be unaligned; outputs never overlap inputs unless a comment says so.
 */
#ifndef PF_KERNELS_H
#define PF_KERNELS_H

#include "tensor.h"

/* Activations quantised to int8 for products with quantised weights: blocks of 32 values,
 * x[i] ~ scale[i / 32] * q[i]; sum[b] = scale[b] * (sum of q over block b), for types with an offset. */
typedef struct pf_activation {
    const float *x;     /* [n] the floats themselves */
    int8_t *q;          /* [n rounded up to 32]; NULL: use the floats (--float-activations) */
    float *scale, *sum; /* [ceil(n / 32)] each */
} pf_activation;

/* Sizes for `gemm`: tokens in one call; floats of workspace per column for weights and tokens. */
enum { PF_GEMM_TOKENS = 256, PF_GEMM_PANEL_FLOATS = 52 };

/* Softmax attention on its way through the keys, a tile of queries at a time. All that belongs to query t
 * is column t. out and den hold sum_j exp(q.k_j - running_max) v_j and sum_j exp(q.k_j - running_max) over the keys
 * seen so far, top the largest q.k_j among them (-INFINITY with out = den = 0 at first). */
enum { PF_TILE_QUERIES = 32, PF_TILE_KEYS = 128 };
typedef struct pf_query_tile {
    size_t n; /* queries, <= PF_TILE_QUERIES; in the columns beyond are numbers of no meaning */
    float *q, *out;           /* [D, PF_TILE_QUERIES]; q times the scale of the scores */
    float *den, *running_max; /* [PF_TILE_QUERIES] */
    float *scores;            /* [PF_TILE_KEYS, PF_TILE_QUERIES] scratch */
} pf_query_tile;

typedef struct pf_kernels {
    const char *name; /* "plain", "avx2", "avx512", "avx512-vnni", "neon", "neon-dotprod" */

    float (*dot)(const float *a, const float *b, size_t n);        /* sum a_i b_i */
    void (*axpy)(float *y, float alpha, const float *x, size_t n); /* y += alpha x */
    void (*scale)(float *y, float alpha, size_t n);                /* y *= alpha */
    float (*max)(const float *x, size_t n);                        /* n >= 1 */
    /* y_i = exp(x_i - shift), returns sum y_i; within 2 ulp per value, 0 below -87; y may be x.
     * x_i - shift <= 88 is the caller's duty. */
    float (*exp_sum)(float *y, const float *x, float shift, size_t n);
    /* y = x / sqrt(mean(x^2) + eps) * weight; y may be x */
    void (*rms_norm)(float *y, const float *x, const float *weight, float eps, size_t n);
    /* y = (x - mean) / sqrt(variance + eps) * weight + bias (bias may be NULL); y may be x */
    void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, float eps,
                       size_t n);
    /* gate_i = silu(gate_i) * up_i, silu(x) = x / (1 + exp(-x)) */
    void (*swiglu)(float *gate, const float *up, size_t n);
    /* x_i = gelu(x_i) (Hendrycks & Gimpel 2016), in its tanh form and exact; within 3e-7 max(1, |x_i|) */
    void (*gelu_tanh)(float *x, size_t n);
    void (*gelu_erf)(float *x, size_t n);

    /* FAVOR+, one token of one head, a single pass over S [M, D] (row-major) and z [M]:
     *   first  S = decay * S + phi_k v^T,  z = decay * z + phi_k     (skipped where phi_k is NULL)
     *   then   out_g[D] = phi_q_g S,       den_g = phi_q_g . z        for G queries that share S
     * phi_q [G, M], out [G, D], den [G]. */
    void (*favor_step)(float *S, float *z, size_t M, size_t D, float decay, const float *phi_k,
                       const float *v, const float *phi_q, size_t G, float *out, float *den);

    /* One token of G queries against rows that are kept, F32 or F16, each read once for all of them:
     *   scores[g * ld + j] = scale * q_g . K_j      q [G, D], K [n, D], ld >= n
     *   out_g[D] = sum_j weights[g * ld + j] V_j    out [G, D], V [n, D] */
    void (*scores)(const float *q, size_t G, pf_matrix K, float scale, float *scores, size_t ld);
    void (*weighted_rows)(const float *weights, size_t ld, size_t G, pf_matrix V, float *out);
    void (*to_f16)(uint16_t *y, const float *x, size_t n); /* y = x to nearest even */

    /* The tile's queries meet n <= PF_TILE_KEYS more keys, rows of K and V [n, D]: query t those from
     * max(0, first + t) to min(n, last + t) (exclusive). (Online softmax, Milakov & Gimelshein 2018.) */
    void (*flash_attention)(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                            size_t D, ptrdiff_t first, ptrdiff_t last);

    /* Quantises x [n] into a.q, a.scale, a.sum (n: multiple of 32): scale = max|x| / 127 per block,
     * round to nearest. a.x must be set. */
    void (*quantize_activation)(pf_activation a, size_t n);

    /* y[r] = W row r . x for the rows [begin, end) of W. For F32, F16, BF16 and wherever a.q is
     * NULL the product is with the floats a.x; else with the int8 activations. Never allocates. */
    void (*matvec)(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);

    /* Y[t * ldy + r] = X row t . W row r for T <= PF_GEMM_TOKENS tokens and the rows [begin, end) of W,
     * with int8 activations where int8 is set and this table has a faster way for the type, else with
     * the floats. A number of Y has the same bits whatever T, begin and end are. workspace: aligned to
     * PF_ALIGN, pf_gemm_workspace_floats(W.cols) long. NULL where BLAS is to do it. */
    void (*gemm)(pf_matrix W, const float *X, size_t ldx, size_t T, bool int8, float *Y, size_t ldy,
                 size_t begin, size_t end, float *workspace);

    /* values[0 .. n) of one row; the same bits as pf_dequantize_row. */
    void (*dequantize_row)(pf_type type, const void *row, float *values, size_t n);
} pf_kernels;

/* The best table for this machine; the same pointer at every call, from any thread. The environment
 * variable PF_KERNELS=NAME asks for a lesser one by its name (tests, comparisons). */
const pf_kernels *pf_kernels_get(void);

/* The tables that this machine can run, plain first; *count of them. For tests and bench. */
const pf_kernels *const *pf_kernels_all(size_t *count);

/* Floats that pf_kernels.gemm needs for matrices of up to max_cols columns. */
size_t pf_gemm_workspace_floats(size_t max_cols);

/* The tables themselves, one per instruction set; only the dispatch (kernels.c) names them. */
extern const pf_kernels pf_kernels_plain;
#if defined(__x86_64__)
extern const pf_kernels pf_kernels_avx2, pf_kernels_avx512, pf_kernels_avx512vnni;
#elif defined(__aarch64__)
extern const pf_kernels pf_kernels_neon, pf_kernels_neondot;
#endif

#endif
