/* floor 1.4 - block types times int8 activations, aarch64 with SDOT: one instruction multiplies and
 * adds four pairs of bytes per lane. The only file that is compiled for SDOT. */
#if defined(__aarch64__)

#include "matvec_neon.h"

INLINE int32x4_t multiply(int8x16x2_t w, int8x16x2_t q) {
    int32x4_t sum = vdotq_s32(vdupq_n_s32(0), w.val[0], q.val[0]);
    return vdotq_s32(sum, w.val[1], q.val[1]);
}

bool pf_matvec_int8_neondot(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    return pf_neon_matvec_int8(W, a, y, begin, end, multiply);
}

#else
typedef int pf_no_matvec_neondot; /* ISO C wants one declaration per file */
#endif
