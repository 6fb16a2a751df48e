/* floor 1.4 - quantised weights times int8 activations with VNNI: many tokens in register tiles of
 * 6 rows by 32 tokens.
 *
 * Many tokens follow the plan of gemm_avx512.c, on bytes. Lanes are tokens; VPDPBUSD takes four
 * columns at once: four unsigned bytes of a weight, broadcast to the lanes, times four signed
 * bytes of each token. A group is the columns that share one scale: 32, or 16 for Q2_K, Q3_K and
 * Q6_K.
 *     y = sum over groups of  d s ((q - centre) . p)  +  m s (sum of p)
 * for weights d (q - centre) + m and activations s p. Types with a centre (128 for Q8_0, whose
 * bytes are signed) start the integer sums of a group at -centre (sum of p), which is exact.
 * Blocks of every type are unpacked to this form, in a panel of 48 rows. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "blocks_x86.h"
#include "transpose_avx512.h"

enum { TILE_ROWS = 6, TILE_TOKENS = 32, PANEL_ROWS = 48, CHUNK = 256, BLOCKS = CHUNK / 32 };

/* 256 columns of a panel. Rows of q are 320 bytes apart, so that they spread over the cache. */
typedef struct weight_chunk {
    uint8_t q[PANEL_ROWS][CHUNK + 64];
    float d[PANEL_ROWS][2 * BLOCKS]; /* per 16 columns; or per 32, every second one unused */
    float m[PANEL_ROWS][2 * BLOCKS]; /* likewise */
} weight_chunk;

/* 32 columns of 32 tokens. */
typedef struct token_block {
    int8_t p[8][TILE_TOKENS][4];                   /* four columns of a token side by side */
    int32_t start[2][TILE_TOKENS];                 /* per group: -centre (sum of p) */
    float scale[TILE_TOKENS], sum[2][TILE_TOKENS]; /* sum: s (sum of p) per group */
} token_block;

/* What the products depend on. */
typedef struct type_traits {
    size_t halves;       /* groups in a block of 32 */
    bool has_min;        /* an m per group */
    unsigned log_centre; /* 0: no centre */
} type_traits;

_Static_assert(sizeof(weight_chunk) <= PF_GEMM_PANEL_FLOATS * CHUNK * sizeof(float), "workspace");
_Static_assert(sizeof(token_block) <= 32 * TILE_TOKENS * sizeof(float), "workspace");

static size_t at_most(size_t n, size_t limit) { return n < limit ? n : limit; }

/* ---- tokens ---- */

/* Four columns of sixteen tokens: 32-bit integers in, bytes side by side out. */
INLINE __m512i four_bytes(const __m512i column[4]) {
    const __m512i byte = _mm512_set1_epi32(255);
    __m512i low = _mm512_and_si512(column[0], byte), middle = _mm512_and_si512(column[1], byte);
    __m512i high = _mm512_and_si512(column[2], byte);
    low = _mm512_or_si512(low, _mm512_slli_epi32(middle, 8));
    high = _mm512_or_si512(_mm512_slli_epi32(high, 16), _mm512_slli_epi32(column[3], 24));
    return _mm512_or_si512(low, high);
}

/* Quantises 32 columns of up to sixteen tokens into the lanes from `lane` on. The results are
 * those of quantize_activation, for all tokens at once. */
static void put_sixteen(const float *x, size_t ldx, size_t tokens, token_block *block, size_t lane,
                        type_traits type) {
    __m512 columns[32], largest = _mm512_setzero_ps();
    pf_transpose_16(x, ldx, tokens, 0xffff, columns);
    pf_transpose_16(x + 16, ldx, tokens, 0xffff, columns + 16);
    for (size_t k = 0; k < 32; k++) /* skips NaN */
        largest = _mm512_max_ps(_mm512_abs_ps(columns[k]), largest);
    __mmask16 some = _mm512_cmp_ps_mask(largest, _mm512_setzero_ps(), _CMP_GT_OQ);
    const __m512 most = _mm512_set1_ps(127);
    __m512 inverse = _mm512_maskz_div_ps(some, most, largest), scale = _mm512_div_ps(largest, most);
    __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (size_t j = 0; j < 8; j++) {
        __m512i four[4];
        for (size_t i = 0; i < 4; i++)
            four[i] = _mm512_cvtps_epi32(_mm512_mul_ps(columns[4 * j + i], inverse));
        __m512i p = four_bytes(four);
        _mm512_storeu_si512(block->p[j][lane], p);
        sum[j / 4] = _mm512_dpbusd_epi32(sum[j / 4], _mm512_set1_epi8(1), p);
    }
    if (type.halves == 1) sum[0] = _mm512_add_epi32(sum[0], sum[1]);
    for (size_t h = 0; h < 2; h++) {
        __m512i centres = _mm512_slli_epi32(sum[h], type.log_centre);
        if (type.log_centre == 0) centres = _mm512_setzero_si512();
        _mm512_storeu_si512(block->start[h] + lane,
                            _mm512_sub_epi32(_mm512_setzero_si512(), centres));
        _mm512_storeu_ps(block->sum[h] + lane, _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sum[h])));
    }
    _mm512_storeu_ps(block->scale + lane, scale);
}

/* tiles [ceil(T / 32)][K / 32] = X [T, K] quantised. A half tile without tokens is left as it is:
 * its sums are never read. */
static void put_tokens(const float *X, size_t ldx, size_t T, size_t K, type_traits type,
                       token_block *tiles) {
    for (size_t t = 0; t < T; t += 16) {
        token_block *tile = tiles + t / TILE_TOKENS * (K / 32);
        for (size_t k = 0; k < K; k += 32, tile++)
            put_sixteen(X + t * ldx + k, ldx, at_most(T - t, 16), tile, t % TILE_TOKENS, type);
    }
}

/* ---- weights ---- */

INLINE void put_weights(weight_chunk *chunk, size_t r, size_t b, __m256i q) {
    _mm256_storeu_si256((__m256i *)(void *)(chunk->q[r] + 32 * b), q);
}

INLINE __m256i q8_0_plus_128(const uint8_t *block) {
    return _mm256_xor_si256(pf_q8_0_signed(block), _mm256_set1_epi8((char)0x80));
}

/* Signed weights are stored as unsigned ones, 128 above. */
INLINE __m256i plus_128(__m256i q) { return _mm256_xor_si256(q, _mm256_set1_epi8((char)0x80)); }

INLINE __m256i iq4_nl_plus_128(const uint8_t *block) { return plus_128(pf_iq4_nl(block)); }

/* n columns of a row in blocks of 32; with has_min, m follows d. */
INLINE void put_row_of_32(weight_chunk *chunk, size_t r, const uint8_t *block, size_t n,
                          const size_t bytes, pf_unpack q, const bool has_min) {
    for (size_t b = 0; b < n / 32; b++, block += bytes) {
        put_weights(chunk, r, b, q(block));
        chunk->d[r][2 * b] = pf_half(block);
        if (has_min) chunk->m[r][2 * b] = pf_half(block + 2);
    }
}

/* Q4_K, or Q5_K (five). */
INLINE void put_row_of_k(weight_chunk *chunk, size_t r, const uint8_t *block, const bool five) {
    __m256 scale, offset;
    float scales[BLOCKS], offsets[BLOCKS];
    pf_k_scales(block, &scale, &offset);
    _mm256_storeu_ps(scales, scale);
    _mm256_storeu_ps(offsets, offset);
#pragma GCC unroll 8
    for (int b = 0; b < BLOCKS; b++) {
        put_weights(chunk, r, (size_t)b, five ? pf_q5_k(block, b) : pf_q4_k(block, b));
        chunk->d[r][2 * b] = scales[b];
        chunk->m[r][2 * b] = offsets[b];
    }
}

static void put_row_of_q2_k(weight_chunk *chunk, size_t r, const uint8_t *block) {
    pf_q2_k_scales(block, chunk->d[r], chunk->m[r]);
    for (size_t group = 0; group < 2 * BLOCKS; group++) chunk->m[r][group] *= -1;
#pragma GCC unroll 8
    for (int b = 0; b < BLOCKS; b++) put_weights(chunk, r, (size_t)b, pf_q2_k(block, b));
}

static void put_row_of_q6_k(weight_chunk *chunk, size_t r, const uint8_t *block) {
    pf_q6_k_scales(block, chunk->d[r]);
#pragma GCC unroll 8
    for (int b = 0; b < BLOCKS; b++) put_weights(chunk, r, (size_t)b, pf_q6_k(block, b));
}

static void put_row_of_q3_k(weight_chunk *chunk, size_t r, const uint8_t *block) {
    pf_q3_k_scales(block, chunk->d[r]);
#pragma GCC unroll 8
    for (int b = 0; b < BLOCKS; b++) put_weights(chunk, r, (size_t)b, pf_q3_k(block, b));
}

static void put_row_of_iq4_xs(weight_chunk *chunk, size_t r, const uint8_t *block) {
    float scales[BLOCKS];
    pf_iq4_xs_scales(block, scales);
#pragma GCC unroll 8
    for (int b = 0; b < BLOCKS; b++) {
        put_weights(chunk, r, (size_t)b, plus_128(pf_iq4_xs(block, b)));
        chunk->d[r][2 * b] = scales[b];
    }
}

/* n <= 256 columns of one row, of any type. */
static void put_row(weight_chunk *chunk, size_t r, pf_type type, const uint8_t *blocks, size_t n) {
    switch (type) {
    case PF_Q8_0:
        put_row_of_32(chunk, r, blocks, n, 34, q8_0_plus_128, false);
        break;
    case PF_Q4_0:
        put_row_of_32(chunk, r, blocks, n, 18, pf_q4_0, false);
        break;
    case PF_IQ4_NL:
        put_row_of_32(chunk, r, blocks, n, 18, iq4_nl_plus_128, false);
        break;
    case PF_IQ4_XS:
        put_row_of_iq4_xs(chunk, r, blocks);
        break;
    case PF_Q5_0:
        put_row_of_32(chunk, r, blocks, n, 22, pf_q5_0, false);
        break;
    case PF_Q4_1:
        put_row_of_32(chunk, r, blocks, n, 20, pf_q4_1, true);
        break;
    case PF_Q5_1:
        put_row_of_32(chunk, r, blocks, n, 24, pf_q5_1, true);
        break;
    case PF_Q4_K:
        put_row_of_k(chunk, r, blocks, false);
        break;
    case PF_Q5_K:
        put_row_of_k(chunk, r, blocks, true);
        break;
    case PF_Q2_K:
        put_row_of_q2_k(chunk, r, blocks);
        break;
    case PF_Q3_K:
        put_row_of_q3_k(chunk, r, blocks);
        break;
    default:
        put_row_of_q6_k(chunk, r, blocks);
    }
}

/* Rows [first, first + count) of W, chunk after chunk of columns. */
static void fill_panel(pf_matrix W, size_t first, size_t count, weight_chunk *panel) {
    size_t row_bytes = pf_row_bytes(W.type, W.cols), chunk_bytes = 0;
    const uint8_t *row = (const uint8_t *)W.data + first * row_bytes;
    for (size_t k = 0; k < W.cols; k += CHUNK, panel++, row += chunk_bytes) {
        size_t n = at_most(W.cols - k, CHUNK);
        chunk_bytes = pf_row_bytes(W.type, n);
        for (size_t r = 0; r < count; r++) put_row(panel, r, W.type, row + r * row_bytes, n);
    }
}

/* ---- multiplying ---- */

/* sum [6][V] += group h of block b times rows r ... r + 5 of the chunk. */
INLINE void multiply_group(const weight_chunk *chunk, size_t r, size_t b, const token_block *block,
                           __m512 sum[TILE_ROWS][2], const size_t h, const type_traits type,
                           const size_t V) {
    __m512i dot[TILE_ROWS][2];
    const size_t group = 2 * b + h, fours = 8 / type.halves;
#pragma GCC unroll 8
    for (size_t v = 0; v < V; v++) {
        __m512i start = _mm512_loadu_si512(block->start[h] + 16 * v);
#pragma GCC unroll 8
        for (size_t i = 0; i < TILE_ROWS; i++)
            dot[i][v] = type.log_centre ? start : _mm512_setzero_si512();
    }
#pragma GCC unroll 8
    for (size_t j = 0; j < fours; j++) {
        __m512i p[2];
#pragma GCC unroll 8
        for (size_t v = 0; v < V; v++) p[v] = _mm512_loadu_si512(block->p[h * fours + j][16 * v]);
#pragma GCC unroll 8
        for (size_t i = 0; i < TILE_ROWS; i++) {
            int32_t four;
            memcpy(&four, chunk->q[r + i] + 32 * b + 4 * (h * fours + j), 4);
#pragma GCC unroll 8
            for (size_t v = 0; v < V; v++)
                dot[i][v] = _mm512_dpbusd_epi32(dot[i][v], _mm512_set1_epi32(four), p[v]);
        }
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < V; v++) {
        __m512 scale = _mm512_loadu_ps(block->scale + 16 * v);
#pragma GCC unroll 8
        for (size_t i = 0; i < TILE_ROWS; i++) {
            __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(chunk->d[r + i][group]));
            sum[i][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[i][v]), both, sum[i][v]);
        }
        if (!type.has_min) continue;
        __m512 p = _mm512_loadu_ps(block->sum[h] + 16 * v);
#pragma GCC unroll 8
        for (size_t i = 0; i < TILE_ROWS; i++)
            sum[i][v] = _mm512_fmadd_ps(p, _mm512_set1_ps(chunk->m[r + i][group]), sum[i][v]);
    }
}

/* sums [6][32] += the tokens of a tile times six rows of the chunk from row r, over n_blocks
 * blocks. */
INLINE void multiply_tile(const token_block *block, const weight_chunk *chunk, size_t r,
                          size_t n_blocks, float (*sums)[TILE_TOKENS], const type_traits type,
                          const size_t V) {
    __m512 sum[TILE_ROWS][2];
    for (size_t i = 0; i < TILE_ROWS; i++)
        for (size_t v = 0; v < V; v++) sum[i][v] = _mm512_load_ps(sums[i] + 16 * v);
    for (size_t b = 0; b < n_blocks; b++, block++)
        for (size_t h = 0; h < type.halves; h++)
            multiply_group(chunk, r, b, block, sum, h, type, V);
    for (size_t i = 0; i < TILE_ROWS; i++)
        for (size_t v = 0; v < V; v++) _mm512_store_ps(sums[i] + 16 * v, sum[i][v]);
}

/* All rows of a chunk, for one or both registers of tokens. `type` is a constant in each call, so
 * that the compiler unrolls the loops. */
INLINE void multiply_typed(const token_block *block, const weight_chunk *chunk, size_t rows,
                           size_t n_blocks, float (*sums)[TILE_TOKENS], size_t tokens,
                           const type_traits type) {
    for (size_t r = 0; r < rows; r += TILE_ROWS)
        if (tokens > 16)
            multiply_tile(block, chunk, r, n_blocks, sums + r, type, 2);
        else
            multiply_tile(block, chunk, r, n_blocks, sums + r, type, 1);
}

static const type_traits q8_0 = {1, false, 7}, q5_0 = {1, false, 4}, q4_0 = {1, false, 3},
                         q6_k = {2, false, 5}, q3_k = {2, false, 2}, with_min = {1, true, 0},
                         q2_k = {2, true, 0};

static type_traits traits_of(pf_type type) {
    switch (type) {
    case PF_Q8_0:
    case PF_IQ4_NL:
    case PF_IQ4_XS:
        return q8_0;
    case PF_Q5_0:
        return q5_0;
    case PF_Q4_0:
        return q4_0;
    case PF_Q6_K:
        return q6_k;
    case PF_Q3_K:
        return q3_k;
    case PF_Q2_K:
        return q2_k;
    default:
        return with_min;
    }
}

static void multiply(pf_type type, const token_block *block, const weight_chunk *chunk, size_t rows,
                     size_t n_blocks, float (*sums)[TILE_TOKENS], size_t tokens) {
    switch (type) {
    case PF_Q8_0:
    case PF_IQ4_NL:
    case PF_IQ4_XS:
        multiply_typed(block, chunk, rows, n_blocks, sums, tokens, q8_0);
        break;
    case PF_Q5_0:
        multiply_typed(block, chunk, rows, n_blocks, sums, tokens, q5_0);
        break;
    case PF_Q4_0:
        multiply_typed(block, chunk, rows, n_blocks, sums, tokens, q4_0);
        break;
    case PF_Q6_K:
        multiply_typed(block, chunk, rows, n_blocks, sums, tokens, q6_k);
        break;
    case PF_Q3_K:
        multiply_typed(block, chunk, rows, n_blocks, sums, tokens, q3_k);
        break;
    case PF_Q2_K:
        multiply_typed(block, chunk, rows, n_blocks, sums, tokens, q2_k);
        break;
    default:
        multiply_typed(block, chunk, rows, n_blocks, sums, tokens, with_min);
    }
}

/* Y [tokens][rows] = the tokens of a tile times the panel. Chunk by chunk, so that a chunk's
 * tokens stay in the first-level cache, with the sums, while all rows are multiplied. */
static void multiply_panel(pf_type type, const token_block *tile, const weight_chunk *panel,
                           size_t rows, size_t K, size_t tokens, float *Y, size_t ldy) {
    _Alignas(64) float sums[PANEL_ROWS][TILE_TOKENS] = {{0}};
    for (size_t k = 0; k < K; k += CHUNK)
        multiply(type, tile + k / 32, panel + k / CHUNK, rows, at_most(K - k, CHUNK) / 32, sums,
                 tokens);
    for (size_t t = 0; t < tokens; t += 16)
        for (size_t r = 0; r < rows; r += 16) {
            __m512 transposed[16];
            size_t n_rows = at_most(rows - r, 16), n_tokens = at_most(tokens - t, 16);
            pf_transpose_16(sums[r] + t, TILE_TOKENS, n_rows, 0xffff, transposed);
            for (size_t i = 0; i < n_tokens; i++)
                _mm512_mask_storeu_ps(Y + (t + i) * ldy + r, (__mmask16)((1u << n_rows) - 1),
                                      transposed[i]);
        }
}

void pf_gemm_int8_avx512vnni(pf_matrix W, const float *X, size_t ldx, size_t T, float *Y,
                             size_t ldy, size_t begin, size_t end, float *workspace) {
    size_t K = W.cols, chunks = (K + CHUNK - 1) / CHUNK;
    weight_chunk *panel = (weight_chunk *)(void *)workspace;
    token_block *tiles = (token_block *)(void *)(panel + chunks);
    put_tokens(X, ldx, T, K, traits_of(W.type), tiles);
    for (size_t first = begin; first < end; first += PANEL_ROWS) {
        size_t rows = at_most(end - first, PANEL_ROWS);
        fill_panel(W, first, rows, panel);
        for (size_t t = 0; t < T; t += TILE_TOKENS)
            multiply_panel(W.type, tiles + t / TILE_TOKENS * (K / 32), panel, rows, K,
                           at_most(T - t, TILE_TOKENS), Y + t * ldy + first, ldy);
    }
}

#else
typedef int pf_no_int8_avx512vnni; /* ISO C wants one declaration per file */
#endif
