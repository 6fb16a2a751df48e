/* floor 1.4 - attention of a query tile for AVX2 + FMA: register tiles of 4 keys by 16 queries. */
#if defined(__x86_64__)

#include "attend_x86.h"
#include "exp_avx2.h"

#define VECTOR __m256
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, x) _mm256_storeu_ps(p, x)
#define SPREAD(x) _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define ADD(a, b) _mm256_add_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define EXP(x) pf_exp8(x)
enum { LANES = 8, ROWS = 4 };

#include "attend_tile_x86.h"

void pf_attend_avx2(const pf_query_tile *tile, const float *K, const float *V, size_t n, size_t D,
                    ptrdiff_t first, ptrdiff_t last) {
    for (size_t lane = 0; lane < tile->n; lane += 2 * LANES)
        attend_columns(tile, K, V, n, D, first, last, lane, 2);
}

#else
typedef int pf_no_attend_avx2; /* ISO C wants one declaration per file */
#endif
