/* floor 1.4 - block types against int8 activations with VNNI: the shared loops, its dot product. */
#if defined(__x86_64__)

#include "matvec_int8_x86.h"
#include "kernels_x86.h"

bool pf_matvec_int8_avx512vnni(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    return pf_matvec_int8(W, a, y, begin, end);
}

#else
typedef int pf_no_matvec_avx512vnni; /* ISO C wants one declaration per file */
#endif
