/* floor 1.4 - attention of a query tile for AVX-512: register tiles of 8 keys by 32 queries. */
#if defined(__x86_64__)

#include "attend_x86.h"
#include "vector_avx512.h"

enum { ROWS = 8 };

#include "flash_attention_tile_x86.h"

void pf_flash_attention_avx512(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                               size_t D, ptrdiff_t first, ptrdiff_t last) {
    if (tile->n > LANES)
        attend_columns(tile, K, V, n, D, first, last, 0, 2);
    else
        attend_columns(tile, K, V, n, D, first, last, 0, 1);
}

#else
typedef int pf_no_flash_attention_avx512; /* ISO C wants one declaration per file */
#endif
