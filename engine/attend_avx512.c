/* floor 1.4 - attention of a query tile for AVX-512: register tiles of 8 keys by 32 queries. */
#if defined(__x86_64__)

#include "attend_x86.h"
#include "exp_avx512.h"

#define VECTOR __m512
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, x) _mm512_storeu_ps(p, x)
#define SPREAD(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define ADD(a, b) _mm512_add_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define EXP(x) pf_exp16(x)
enum { LANES = 16, ROWS = 8 };

#include "attend_tile_x86.h"

void pf_attend_avx512(const pf_query_tile *tile, const float *K, const float *V, size_t n, size_t D,
                      ptrdiff_t first, ptrdiff_t last) {
    if (tile->n > LANES)
        attend_columns(tile, K, V, n, D, first, last, 0, 2);
    else
        attend_columns(tile, K, V, n, D, first, last, 0, 1);
}

#else
typedef int pf_no_attend_avx512; /* ISO C wants one declaration per file */
#endif
