/* floor 1.4 - weights times many tokens in floats, AVX-512: register tiles of 12 rows by 32 tokens.
 *
 * The lanes of a register are tokens. X is transposed once into tiles of 32 tokens, so that one
 * column of a tile fills two registers; a weight is one float in memory that the multiply-add
 * broadcasts to all lanes itself. Per column, 2 + 12 loads feed 24 multiply-adds, whose sums never
 * leave the registers. Each element of Y is one sum in the order of the columns, however the rows
 * are shared out and however many tokens there are.
 *
 * Weights of any type are converted to floats in a panel of 48 rows, in chunks of 256 columns.
 * Rows of a chunk are a constant distance apart, so that one address register serves all of them;
 * the distance is 64 bytes more than a power of two, or the rows would share the same lines of the
 * cache. Panel and tile stay in the second-level cache. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "transpose_avx512.h"

#include <string.h>

enum { TILE_ROWS = 12, TILE_TOKENS = 32, PANEL_ROWS = 48, CHUNK = 256 };

typedef struct weight_chunk {
    float w[PANEL_ROWS][CHUNK + 16];
} weight_chunk;

_Static_assert(sizeof(weight_chunk) <= PF_GEMM_PANEL_FLOATS * CHUNK * sizeof(float), "workspace");

static size_t at_most(size_t n, size_t limit) { return n < limit ? n : limit; }

/* ---- preparing tokens and weights ---- */

/* tiles [ceil(T / 32)][K][32] = X [T, K] transposed; missing tokens are 0. */
static void transpose_tokens(const float *X, size_t ldx, size_t T, size_t K, float *tiles) {
    for (size_t t = 0; t < T; t += 16) {
        float *half = tiles + t / TILE_TOKENS * TILE_TOKENS * K + t % TILE_TOKENS;
        for (size_t k = 0; k < K; k += 16) {
            __m512 columns[16];
            size_t count = at_most(K - k, 16);
            pf_transpose_16(X + t * ldx + k, ldx, at_most(T - t, 16),
                            (__mmask16)((1u << count) - 1), columns);
            for (size_t i = 0; i < count; i++)
                _mm512_storeu_ps(half + (k + i) * TILE_TOKENS, columns[i]);
        }
    }
}

/* Rows [first, first + count) of W as floats, chunk after chunk of columns. */
static void fill_panel(pf_matrix W, size_t first, size_t count, weight_chunk *panel) {
    size_t row_bytes = pf_row_bytes(W.type, W.cols), chunk_bytes = 0;
    const char *row = (const char *)W.data + first * row_bytes;
    for (size_t k = 0; k < W.cols; k += CHUNK, panel++, row += chunk_bytes) {
        size_t n = at_most(W.cols - k, CHUNK);
        chunk_bytes = pf_row_bytes(W.type, n);
        for (size_t r = 0; r < count; r++)
            pf_dequantize_row_avx2(W.type, row + r * row_bytes, panel->w[r], n);
    }
}

/* ---- multiplying ---- */

/* Y [tokens][n_rows] = the tokens of a tile, V registers of them, times 12 rows of the panel from
 * row r; only n_rows of the 12 are stored. */
INLINE void multiply_tile(const float *tile, const weight_chunk *panel, size_t r, size_t K,
                          float *Y, size_t ldy, size_t tokens, size_t n_rows, const size_t V) {
    __m512 sum[TILE_ROWS][2];
    for (size_t i = 0; i < TILE_ROWS; i++)
        for (size_t v = 0; v < V; v++) sum[i][v] = _mm512_setzero_ps();
    for (size_t first = 0; first < K; first += CHUNK, panel++) {
        const float *w = panel->w[r];
        size_t n = at_most(K - first, CHUNK);
        for (size_t k = 0; k < n; k++, w++, tile += TILE_TOKENS) {
            __m512 x[2];
            for (size_t v = 0; v < V; v++) x[v] = _mm512_loadu_ps(tile + 16 * v);
#pragma GCC unroll 12
            for (size_t i = 0; i < TILE_ROWS; i++) {
                __m512 weight = _mm512_set1_ps(w[i * (CHUNK + 16)]);
                for (size_t v = 0; v < V; v++) sum[i][v] = _mm512_fmadd_ps(weight, x[v], sum[i][v]);
            }
        }
    }
    float transposed[TILE_ROWS][TILE_TOKENS];
    for (size_t i = 0; i < TILE_ROWS; i++)
        for (size_t v = 0; v < V; v++) _mm512_storeu_ps(transposed[i] + 16 * v, sum[i][v]);
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = 0; i < n_rows; i++) Y[t * ldy + i] = transposed[i][t];
}

static void multiply_32(const float *tile, const weight_chunk *panel, size_t r, size_t K, float *Y,
                        size_t ldy, size_t tokens, size_t n_rows) {
    multiply_tile(tile, panel, r, K, Y, ldy, tokens, n_rows, 2);
}

static void multiply_16(const float *tile, const weight_chunk *panel, size_t r, size_t K, float *Y,
                        size_t ldy, size_t tokens, size_t n_rows) {
    multiply_tile(tile, panel, r, K, Y, ldy, tokens, n_rows, 1);
}

void pf_gemm_floats_avx512(pf_matrix W, const float *X, size_t ldx, size_t T, float *Y, size_t ldy,
                           size_t begin, size_t end, float *workspace) {
    size_t K = W.cols, chunks = (K + CHUNK - 1) / CHUNK;
    weight_chunk *panel = (weight_chunk *)(void *)workspace;
    float *tiles = (float *)(void *)(panel + chunks);
    transpose_tokens(X, ldx, T, K, tiles);
    for (size_t first = begin; first < end; first += PANEL_ROWS) {
        size_t rows = at_most(end - first, PANEL_ROWS);
        fill_panel(W, first, rows, panel);
        for (size_t t = 0; t < T; t += TILE_TOKENS)
            for (size_t r = 0; r < rows; r += TILE_ROWS) {
                float *corner = Y + t * ldy + first + r;
                size_t tokens = at_most(T - t, TILE_TOKENS), n_rows = at_most(rows - r, TILE_ROWS);
                (tokens > 16 ? multiply_32 : multiply_16)(tiles + t * K, panel, r, K, corner, ldy,
                                                          tokens, n_rows);
            }
    }
}

#else
typedef int pf_no_gemm_avx512; /* ISO C wants one declaration per file */
#endif
