/* floor 1.4 - quantised weights times one token with VNNI. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "matvec_int8_x86.h"

bool pf_matvec_int8_avx512vnni(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    return pf_matvec_int8(W, a, y, begin, end, PF_INTEL);
}

bool pf_matvec_int8_avx512vnni_amd(pf_matrix W, pf_activation a, float *y, size_t begin,
                                   size_t end) {
    return pf_matvec_int8(W, a, y, begin, end, PF_AMD);
}

#else
typedef int pf_no_matvec_avx512vnni; /* ISO C wants one declaration per file */
#endif
