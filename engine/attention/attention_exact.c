/* floor 1.9 - exact attention: softmax over the keys in the cache, in one pass. */
#include "attention_exact.h"

#include "kernels.h"
#include "soft_cap.h"

#include <string.h>

void pf_exact_token(const float *q, const float *q_sink, size_t G, pf_matrix K, pf_matrix V,
                    size_t n_sinks, pf_score score, float *scores, pf_partial part) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t n = K.rows;
    if (n_sinks > n) n_sinks = n;
    kernels->scores(q_sink, G, pf_matrix_rows(K, 0, n_sinks), score.scale, scores, n);
    kernels->scores(q, G, pf_matrix_rows(K, n_sinks, n - n_sinks), score.scale, scores + n_sinks,
                    n);
    pf_soft_cap(scores, G * n, score.cap);
    for (size_t g = 0; g < G; g++) {
        float *row = scores + g * n;
        part.log_scale[g] = kernels->max(row, n);
        part.den[g] = kernels->exp_sum(row, row, part.log_scale[g], n);
    }
    kernels->weighted_rows(scores, n, G, V, part.out);
}

enum { TILE = PF_TILE_QUERIES };

static size_t tile_floats(size_t D) { return 2 * D * TILE + 2 * TILE; }

/* First the scores, then keys and values of a block as floats, then the tiles. */
static size_t tiles_begin(size_t D) { return PF_TILE_KEYS * (TILE + 2 * D); }

size_t pf_exact_scratch(size_t T, size_t D) {
    return tiles_begin(D) + (T + TILE - 1) / TILE * tile_floats(D);
}

/* Queries 32 i ... of T: their tile in the scratch. */
static pf_query_tile tile_at(float *scratch, size_t i, size_t T, size_t D) {
    float *q = scratch + tiles_begin(D) + i * tile_floats(D);
    size_t left = T - i * TILE;
    return (pf_query_tile){.n = left < TILE ? left : TILE,
                           .q = q,
                           .out = q + D * TILE,
                           .den = q + 2 * D * TILE,
                           .running_max = q + 2 * D * TILE + TILE,
                           .scores = scratch};
}

/* columns [D, TILE] = rows [n, D] transposed, times a factor; 0 where there is no row. */
static void transpose(const float *rows, size_t n, size_t D, float factor, float *columns) {
    for (size_t d = 0; d < D; d++, columns += TILE) {
        for (size_t t = 0; t < n; t++) columns[t] = factor * rows[t * D + d];
        for (size_t t = n; t < TILE; t++) columns[t] = 0;
    }
}

static void load_tile(pf_query_tile tile, const float *q, size_t D, float scale, pf_partial part) {
    transpose(q, tile.n, D, scale, tile.q);
    transpose(part.out, tile.n, D, 1, tile.out);
    memset(tile.den, 0, TILE * sizeof *tile.den);
    memcpy(tile.den, part.den, tile.n * sizeof *tile.den);
    memset(tile.running_max, 0, TILE * sizeof *tile.running_max);
    memcpy(tile.running_max, part.log_scale, tile.n * sizeof *tile.running_max);
}

static void store_tile(pf_query_tile tile, size_t D, pf_partial part) {
    for (size_t t = 0; t < tile.n; t++)
        for (size_t d = 0; d < D; d++) part.out[t * D + d] = tile.out[d * TILE + t];
    memcpy(part.den, tile.den, tile.n * sizeof *tile.den);
    memcpy(part.log_scale, tile.running_max, tile.n * sizeof *tile.running_max);
}

static ptrdiff_t clamp(ptrdiff_t x, ptrdiff_t low, ptrdiff_t high) {
    return x < low ? low : x > high ? high : x;
}

/* The rows [begin, end) of a matrix as floats: in place, or converted in `room`. */
static const float *as_floats(pf_matrix rows, ptrdiff_t begin, ptrdiff_t end, float *room) {
    pf_matrix part = pf_matrix_rows(rows, (size_t)begin, (size_t)(end - begin));
    if (part.type == PF_F32) return part.data;
    pf_kernels_get()->dequantize_row(part.type, part.data, room, part.rows * part.cols);
    return room;
}

/* pf_exact_rows for scores with a cap, which the tiles do not know: query by query. */
static void capped_rows(const float *q, size_t T, pf_matrix K, pf_matrix V, ptrdiff_t first,
                        ptrdiff_t last, pf_score score, float *scratch, pf_partial part) {
    size_t D = K.cols;
    ptrdiff_t keys = (ptrdiff_t)K.rows;
    pf_partial more = {scratch, scratch + D, scratch + D + 1};
    for (size_t t = 0; t < T; t++, q += D, first++, last++) {
        size_t begin = (size_t)clamp(first, 0, keys), end = (size_t)clamp(last, 0, keys);
        for (size_t n; begin < end; begin += n) {
            n = end - begin < PF_TILE_KEYS ? end - begin : PF_TILE_KEYS;
            pf_exact_token(q, q, 1, pf_matrix_rows(K, begin, n), pf_matrix_rows(V, begin, n), 0,
                           score, scratch + D + 2, more);
            pf_partial_add(pf_partial_row(part, t, D), more, D);
        }
    }
}

/* A block of keys stays in the processor's cache while all tiles of queries read it. */
void pf_exact_rows(const float *q, size_t T, pf_matrix K, pf_matrix V, ptrdiff_t first,
                   ptrdiff_t last, pf_score score, float *scratch, pf_partial part) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t D = K.cols;
    float *room = scratch + PF_TILE_KEYS * TILE;
    ptrdiff_t keys = (ptrdiff_t)K.rows;
    ptrdiff_t begin = clamp(first, 0, keys), end = clamp(last + (ptrdiff_t)T - 1, 0, keys);
    if (begin >= end) return;
    if (score.cap > 0) {
        capped_rows(q, T, K, V, first, last, score, scratch, part);
        return;
    }
    for (size_t t = 0; t < T; t += TILE)
        load_tile(tile_at(scratch, t / TILE, T, D), q + t * D, D, score.scale,
                  pf_partial_row(part, t, D));
    for (ptrdiff_t block = begin; block < end; block += PF_TILE_KEYS) {
        ptrdiff_t block_end = clamp(end, block, block + PF_TILE_KEYS);
        const float *K_block = as_floats(K, block, block_end, room);
        const float *V_block = as_floats(V, block, block_end, room + PF_TILE_KEYS * D);
        for (size_t t = 0; t < T; t += TILE) {
            pf_query_tile tile = tile_at(scratch, t / TILE, T, D);
            ptrdiff_t low = first + (ptrdiff_t)t, high = last + (ptrdiff_t)t;
            ptrdiff_t from = clamp(low, block, block_end);
            ptrdiff_t to = clamp(high + (ptrdiff_t)tile.n - 1, block, block_end);
            size_t skipped = (size_t)(from - block) * D;
            if (from < to)
                kernels->flash_attention(&tile, K_block + skipped, V_block + skipped,
                                         (size_t)(to - from), D, low - from, high - from);
        }
    }
    for (size_t t = 0; t < T; t += TILE)
        store_tile(tile_at(scratch, t / TILE, T, D), D, pf_partial_row(part, t, D));
}
