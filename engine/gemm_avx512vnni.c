/* floor 1.4 - quantised weights times many tokens with VNNI: register tiles of 6 rows by 32 tokens.
 *
 * The same plan as gemm_avx512.c, on bytes. Lanes are tokens; VPDPBUSD takes four columns at once: four
 * unsigned bytes of a weight, spread over the lanes, against four signed bytes of each token. Types
 * whose integers have a centre (128 for Q8_0, whose bytes are signed) start the sums of a group at
 * -centre (sum of its activations), which is exact. A group is what shares one scale: 32 columns, or
 * 16 for Q6_K.
 *     y = sum over groups of  d s ((q - centre) . p)  +  m s (sum of p)
 * with weights d (q - centre) + m and activations s p. Any block type is unpacked to this form, a panel
 * of 48 rows at a time. */
#if defined(__x86_64__)

#include "blocks_x86.h"
#include "gemm_x86.h"

enum { TILE_ROWS = 6, TILE_TOKENS = 32, PANEL_ROWS = 48, CHUNK = 256, BLOCKS = CHUNK / 32 };

/* 256 columns of a panel. Rows of q lie 320 bytes apart, so that they spread over the cache. */
typedef struct weight_chunk {
    uint8_t q[PANEL_ROWS][CHUNK + 64];
    float d[PANEL_ROWS][2 * BLOCKS]; /* of each 16 columns, or every second one of each 32 */
    float m[PANEL_ROWS][BLOCKS];     /* of each 32 columns */
} weight_chunk;

/* 32 columns of 32 tokens. */
typedef struct token_block {
    int8_t p[8][TILE_TOKENS][4];      /* four columns of each token side by side */
    int32_t sum_of_p[2][TILE_TOKENS]; /* of each half */
    float scale[TILE_TOKENS], sum[TILE_TOKENS];
} token_block;

/* What multiplying must know of a type. */
typedef struct type_traits {
    size_t halves;       /* groups in a block of 32 */
    bool has_min;        /* an m per block */
    unsigned log_centre; /* 0: there is none */
} type_traits;

_Static_assert(sizeof(weight_chunk) <= PF_GEMM_PANEL_FLOATS * CHUNK * sizeof(float), "workspace");
_Static_assert(sizeof(token_block) <= 32 * TILE_TOKENS * sizeof(float), "workspace");

static size_t at_most(size_t n, size_t limit) { return n < limit ? n : limit; }

/* ---- tokens ---- */

/* One token's 256 (or n) columns into lane `lane` of the tile's blocks. */
static void put_token(const float *x, size_t n, token_block *blocks, size_t lane) {
    int8_t q[CHUNK];
    float scale[BLOCKS], sum[BLOCKS];
    pf_kernels_avx512.quantize_activation((pf_activation){x, q, scale, sum}, n);
    for (size_t b = 0; b < n / 32; b++, blocks++) {
        blocks->scale[lane] = scale[b];
        blocks->sum[lane] = sum[b];
        for (size_t j = 0; j < 8; j++) memcpy(blocks->p[j][lane], q + 32 * b + 4 * j, 4);
        const __m256i ones = _mm256_set1_epi8(1);
        __m256i fours = _mm256_dpbusd_epi32(_mm256_setzero_si256(), ones, pf_load32(q + 32 * b));
        __m128i low = _mm256_castsi256_si128(fours), high = _mm256_extracti128_si256(fours, 1);
        __m128i pairs = _mm_hadd_epi32(low, high), both = _mm_hadd_epi32(pairs, pairs);
        blocks->sum_of_p[0][lane] = _mm_cvtsi128_si32(both);
        blocks->sum_of_p[1][lane] = _mm_extract_epi32(both, 1);
    }
}

/* tiles [ceil(T / 32)][K / 32]; lanes without a token keep what they have: nobody reads their sums. */
static void put_tokens(const float *X, size_t ldx, size_t T, size_t K, token_block *tiles) {
    for (size_t t = 0; t < T; t++) {
        token_block *tile = tiles + t / TILE_TOKENS * (K / 32);
        for (size_t k = 0; k < K; k += CHUNK)
            put_token(X + t * ldx + k, at_most(K - k, CHUNK), tile + k / 32, t % TILE_TOKENS);
    }
}

/* ---- weights ---- */

PF_INLINE void put_weights(weight_chunk *chunk, size_t r, size_t b, __m256i q) {
    _mm256_storeu_si256((__m256i *)(void *)(chunk->q[r] + 32 * b), q);
}

typedef __m256i (*unpack)(const uint8_t *block);

PF_INLINE __m256i q8_0_plus_128(const uint8_t *block) {
    return _mm256_xor_si256(pf_q8_0_signed(block), _mm256_set1_epi8((char)0x80));
}

/* n columns of a row of blocks of 32, with an m behind d or without. */
PF_INLINE void put_row_of_32(weight_chunk *chunk, size_t r, const uint8_t *block, size_t n,
                             const size_t bytes, unpack q, const bool has_min) {
    for (size_t b = 0; b < n / 32; b++, block += bytes) {
        put_weights(chunk, r, b, q(block));
        chunk->d[r][2 * b] = pf_half(block);
        if (has_min) chunk->m[r][b] = pf_half(block + 2);
    }
}

PF_INLINE void put_row_of_k(weight_chunk *chunk, size_t r, const uint8_t *block, const bool five) {
    __m256 scale, offset;
    float scales[BLOCKS];
    pf_k_scales(block, &scale, &offset);
    _mm256_storeu_ps(scales, scale);
    _mm256_storeu_ps(chunk->m[r], offset);
#pragma GCC unroll 8
    for (int b = 0; b < BLOCKS; b++) {
        put_weights(chunk, r, (size_t)b, five ? pf_q5_k(block, b) : pf_q4_k(block, b));
        chunk->d[r][2 * b] = scales[b];
    }
}

static void put_row_of_q6_k(weight_chunk *chunk, size_t r, const uint8_t *block) {
    pf_q6_k_scales(block, chunk->d[r]);
#pragma GCC unroll 8
    for (int b = 0; b < BLOCKS; b++) put_weights(chunk, r, (size_t)b, pf_q6_k(block, b));
}

/* n <= 256 columns of one row. */
static void put_row(weight_chunk *chunk, size_t r, pf_type type, const uint8_t *blocks, size_t n) {
    switch (type) {
    case PF_Q8_0:
        put_row_of_32(chunk, r, blocks, n, 34, q8_0_plus_128, false);
        break;
    case PF_Q4_0:
        put_row_of_32(chunk, r, blocks, n, 18, pf_q4_0, false);
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
    default:
        put_row_of_q6_k(chunk, r, blocks);
    }
}

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

/* sum [6][V] += the block's columns of group h, rows r ... r + 5 of the chunk */
PF_INLINE void multiply_group(const weight_chunk *chunk, size_t r, size_t b,
                              const token_block *block, __m512 sum[TILE_ROWS][2], const size_t h,
                              const type_traits type, const size_t V) {
    __m512i dot[TILE_ROWS][2];
    const size_t group = 2 * b + h, fours = 8 / type.halves;
    for (size_t v = 0; v < V; v++) {
        __m512i start = _mm512_loadu_si512(block->sum_of_p[h] + 16 * v);
        if (type.halves == 1)
            start = _mm512_add_epi32(start, _mm512_loadu_si512(block->sum_of_p[1] + 16 * v));
        start = _mm512_slli_epi32(start, type.log_centre);
        start = _mm512_sub_epi32(_mm512_setzero_si512(), start);
        for (size_t i = 0; i < TILE_ROWS; i++)
            dot[i][v] = type.log_centre ? start : _mm512_setzero_si512();
    }
#pragma GCC unroll 8
    for (size_t j = h * fours; j < (h + 1) * fours; j++) {
        __m512i p[2];
        for (size_t v = 0; v < V; v++) p[v] = _mm512_loadu_si512(block->p[j][16 * v]);
#pragma GCC unroll 6
        for (size_t i = 0; i < TILE_ROWS; i++) {
            int32_t four;
            memcpy(&four, chunk->q[r + i] + 32 * b + 4 * j, 4);
            for (size_t v = 0; v < V; v++)
                dot[i][v] = _mm512_dpbusd_epi32(dot[i][v], _mm512_set1_epi32(four), p[v]);
        }
    }
    for (size_t v = 0; v < V; v++) {
        __m512 scale = _mm512_loadu_ps(block->scale + 16 * v);
        for (size_t i = 0; i < TILE_ROWS; i++) {
            __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(chunk->d[r + i][group]));
            sum[i][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[i][v]), both, sum[i][v]);
        }
    }
}

/* Y [tokens][0 .. n_rows) = the tile's tokens times six rows of the panel from row r. */
PF_INLINE void multiply_tile(const token_block *block, const weight_chunk *panel, size_t r,
                             size_t K, float *Y, size_t ldy, size_t tokens, size_t n_rows,
                             const type_traits type, const size_t V) {
    __m512 sum[TILE_ROWS][2];
    for (size_t i = 0; i < TILE_ROWS; i++)
        for (size_t v = 0; v < V; v++) sum[i][v] = _mm512_setzero_ps();
    for (size_t b = 0; b < K / 32; b++, block++) {
        const weight_chunk *chunk = panel + b / BLOCKS;
        for (size_t h = 0; h < type.halves; h++)
            multiply_group(chunk, r, b % BLOCKS, block, sum, h, type, V);
        for (size_t v = 0; type.has_min && v < V; v++) {
            __m512 p = _mm512_loadu_ps(block->sum + 16 * v);
            for (size_t i = 0; i < TILE_ROWS; i++)
                sum[i][v] =
                    _mm512_fmadd_ps(p, _mm512_set1_ps(chunk->m[r + i][b % BLOCKS]), sum[i][v]);
        }
    }
    float turned[TILE_ROWS][TILE_TOKENS];
    for (size_t i = 0; i < TILE_ROWS; i++)
        for (size_t v = 0; v < V; v++) _mm512_storeu_ps(turned[i] + 16 * v, sum[i][v]);
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = 0; i < n_rows; i++) Y[t * ldy + i] = turned[i][t];
}

/* Unrolled for one or both registers of tokens; `type` is a constant in here. */
PF_INLINE void multiply_typed(const token_block *block, const weight_chunk *panel, size_t r,
                              size_t K, float *Y, size_t ldy, size_t tokens, size_t n_rows,
                              const type_traits type) {
    if (tokens > 16)
        multiply_tile(block, panel, r, K, Y, ldy, tokens, n_rows, type, 2);
    else
        multiply_tile(block, panel, r, K, Y, ldy, tokens, n_rows, type, 1);
}

static void multiply(pf_type type, const token_block *block, const weight_chunk *panel, size_t r,
                     size_t K, float *Y, size_t ldy, size_t tokens, size_t n_rows) {
    const type_traits q8_0 = {1, false, 7}, q5_0 = {1, false, 4}, q4_0 = {1, false, 3};
    const type_traits q6_k = {2, false, 5}, with_min = {1, true, 0};
    switch (type) {
    case PF_Q8_0:
        multiply_typed(block, panel, r, K, Y, ldy, tokens, n_rows, q8_0);
        break;
    case PF_Q5_0:
        multiply_typed(block, panel, r, K, Y, ldy, tokens, n_rows, q5_0);
        break;
    case PF_Q4_0:
        multiply_typed(block, panel, r, K, Y, ldy, tokens, n_rows, q4_0);
        break;
    case PF_Q6_K:
        multiply_typed(block, panel, r, K, Y, ldy, tokens, n_rows, q6_k);
        break;
    default:
        multiply_typed(block, panel, r, K, Y, ldy, tokens, n_rows, with_min);
    }
}

void pf_gemm_avx512vnni(pf_matrix W, const float *X, size_t ldx, size_t T, bool int8, float *Y,
                        size_t ldy, size_t begin, size_t end, float *workspace) {
    size_t K = W.cols, chunks = (K + CHUNK - 1) / CHUNK;
    if (!int8 || W.type == PF_Q2_K || W.type == PF_Q3_K || pf_type_get(W.type)->block_size == 1) {
        pf_gemm_avx512(W, X, ldx, T, false, Y, ldy, begin, end, workspace);
        return;
    }
    weight_chunk *panel = (weight_chunk *)(void *)workspace;
    token_block *tiles = (token_block *)(void *)(panel + chunks);
    put_tokens(X, ldx, T, K, tiles);
    for (size_t first = begin; first < end; first += PANEL_ROWS) {
        size_t rows = at_most(end - first, PANEL_ROWS);
        fill_panel(W, first, rows, panel);
        for (size_t t = 0; t < T; t += TILE_TOKENS)
            for (size_t r = 0; r < rows; r += TILE_ROWS)
                multiply(W.type, tiles + t / TILE_TOKENS * (K / 32), panel, r, K,
                         Y + t * ldy + first + r, ldy, at_most(T - t, TILE_TOKENS),
                         at_most(rows - r, TILE_ROWS));
    }
}

#else
typedef int pf_no_gemm_avx512vnni; /* ISO C wants one declaration per file */
#endif
