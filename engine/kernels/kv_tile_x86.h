/* floor 1.2 - one token against the cached keys and values, for any vector width: the loops over
 * all queries and columns. Included by kv_avx2.c and kv_avx512.c, which define
 *   load_row, load_f32, load_f16   loads from a row of either type
 *   SUMS                           sums across registers that are done together (keys by queries)
 *   STRIPE                         columns of values in one pass
 *   score_rows                     all keys against G <= 4 queries, R keys at a time
 *   weighted_columns               a stripe of every row, for up to 4 of G queries */
#ifndef PF_KV_TILE_X86_H
#define PF_KV_TILE_X86_H

INLINE void score_group(pf_matrix K, const float *q, float scale, float *scores, size_t ld,
                        load_row load, size_t G, const pf_maker maker) {
    if (G == 1)
        score_rows(K, q, scale, scores, ld, load, SUMS, 1, maker);
    else if (G == 2)
        score_rows(K, q, scale, scores, ld, load, SUMS / 2, 2, maker);
    else if (G == 3)
        score_rows(K, q, scale, scores, ld, load, SUMS / 4, 3, maker);
    else
        score_rows(K, q, scale, scores, ld, load, SUMS / 4, 4, maker);
}

/* Queries go four at a time. If there are more, the keys are split into groups that stay in the
 * cache until every query has used them. */
enum { KEYS_IN_CACHE = 64 };

INLINE void score_groups(const float *q, size_t G, pf_matrix K, float scale, float *scores,
                         size_t ld, const pf_maker maker) {
    for (size_t first = 0; first < K.rows; first += KEYS_IN_CACHE) {
        size_t left = K.rows - first, count = G <= 4 || left < KEYS_IN_CACHE ? left : KEYS_IN_CACHE;
        pf_matrix block = pf_matrix_rows(K, first, count);
        for (size_t g = 0; g < G; g += 4) {
            const float *queries = q + g * K.cols;
            float *out = scores + g * ld + first;
            if (K.type == PF_F16)
                score_group(block, queries, scale, out, ld, load_f16, G - g, maker);
            else
                score_group(block, queries, scale, out, ld, load_f32, G - g, maker);
        }
        if (G <= 4) return;
    }
}

INLINE void weighted_stripes(const float *weights, size_t ld, size_t G, pf_matrix V, float *out,
                             const pf_maker maker) {
    size_t D = V.cols;
    for (size_t d = 0; d < D; d += STRIPE)
        for (size_t g = 0; g < G; g += 4)
            if (V.type == PF_F16)
                weighted_columns(V, d, weights + g * ld, ld, G - g, out + g * D + d, load_f16,
                                 maker);
            else
                weighted_columns(V, d, weights + g * ld, ld, G - g, out + g * D + d, load_f32,
                                 maker);
}

#endif
