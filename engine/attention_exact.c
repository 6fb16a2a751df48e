/* floor 1.5 - exact attention: softmax over keys that are kept, in one pass over them. */
#include "attention_exact.h"

#include "kernels.h"

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

enum { TILE = PF_TILE_QUERIES };

static size_t tile_floats(size_t D) { return 2 * D * TILE + 2 * TILE; }

size_t pf_exact_scratch(size_t T, size_t D) {
    return (T + TILE - 1) / TILE * tile_floats(D) + PF_TILE_KEYS * TILE;
}

/* Queries 32 i ... of T: their tile in the scratch. */
static pf_query_tile tile_at(float *scratch, size_t i, size_t T, size_t D) {
    float *q = scratch + PF_TILE_KEYS * TILE + i * tile_floats(D);
    size_t left = T - i * TILE;
    return (pf_query_tile){.n = left < TILE ? left : TILE,
                           .q = q,
                           .out = q + D * TILE,
                           .den = q + 2 * D * TILE,
                           .top = q + 2 * D * TILE + TILE,
                           .scores = scratch};
}

/* columns [D, TILE] = rows [n, D] turned over, times a factor; 0 where there is no row. */
static void turn_over(const float *rows, size_t n, size_t D, float factor, float *columns) {
    for (size_t d = 0; d < D; d++, columns += TILE) {
        for (size_t t = 0; t < n; t++) columns[t] = factor * rows[t * D + d];
        for (size_t t = n; t < TILE; t++) columns[t] = 0;
    }
}

static void load_tile(pf_query_tile tile, const float *q, size_t D, float scale, pf_part part) {
    turn_over(q, tile.n, D, scale, tile.q);
    turn_over(part.out, tile.n, D, 1, tile.out);
    memset(tile.den, 0, TILE * sizeof *tile.den);
    memcpy(tile.den, part.den, tile.n * sizeof *tile.den);
    memset(tile.top, 0, TILE * sizeof *tile.top);
    memcpy(tile.top, part.scale, tile.n * sizeof *tile.top);
}

static void store_tile(pf_query_tile tile, size_t D, pf_part part) {
    for (size_t t = 0; t < tile.n; t++)
        for (size_t d = 0; d < D; d++) part.out[t * D + d] = tile.out[d * TILE + t];
    memcpy(part.den, tile.den, tile.n * sizeof *tile.den);
    memcpy(part.scale, tile.top, tile.n * sizeof *tile.top);
}

static pf_part part_from(pf_part part, size_t row, size_t D) {
    return (pf_part){part.out + row * D, part.den + row, part.scale + row};
}

static ptrdiff_t clamp(ptrdiff_t x, ptrdiff_t low, ptrdiff_t high) {
    return x < low ? low : x > high ? high : x;
}

/* A block of keys stays in the cache while all tiles meet it. */
void pf_exact_rows(const float *q, size_t T, const float *K, const float *V, size_t n,
                   ptrdiff_t first, ptrdiff_t last, size_t D, float scale, float *scratch,
                   pf_part part) {
    const pf_kernels *kernels = pf_kernels_get();
    ptrdiff_t keys = (ptrdiff_t)n;
    ptrdiff_t begin = clamp(first, 0, keys), end = clamp(last + (ptrdiff_t)T - 1, 0, keys);
    if (begin >= end) return;
    for (size_t t = 0; t < T; t += TILE)
        load_tile(tile_at(scratch, t / TILE, T, D), q + t * D, D, scale, part_from(part, t, D));
    for (ptrdiff_t block = begin; block < end; block += PF_TILE_KEYS) {
        ptrdiff_t block_end = clamp(end, block, block + PF_TILE_KEYS);
        for (size_t t = 0; t < T; t += TILE) {
            pf_query_tile tile = tile_at(scratch, t / TILE, T, D);
            ptrdiff_t low = first + (ptrdiff_t)t, high = last + (ptrdiff_t)t;
            ptrdiff_t from = clamp(low, block, block_end);
            ptrdiff_t to = clamp(high + (ptrdiff_t)tile.n - 1, block, block_end);
            if (from < to)
                kernels->attend(&tile, K + (size_t)from * D, V + (size_t)from * D,
                                (size_t)(to - from), D, low - from, high - from);
        }
    }
    for (size_t t = 0; t < T; t += TILE)
        store_tile(tile_at(scratch, t / TILE, T, D), D, part_from(part, t, D));
}
