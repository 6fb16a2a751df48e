/* floor 1.4 - attention of a query tile for AVX2 + FMA: register tiles of 4 keys by 16 queries. */
#if defined(__x86_64__)

#include "attend_x86.h"
#include "vector_avx2.h"

enum { ROWS = 4 };

#include "flash_attention_tile_x86.h"

void pf_flash_attention_avx2(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                             size_t D, ptrdiff_t first, ptrdiff_t last) {
    for (size_t lane = 0; lane < tile->n; lane += 2 * LANES)
        attend_columns(tile, K, V, n, D, first, last, lane, 2);
}

#else
typedef int pf_no_flash_attention_avx2; /* ISO C wants one declaration per file */
#endif
