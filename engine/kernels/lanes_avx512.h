/* floor 1.0 - lanes: the first ones of AVX-512 registers. Included by the kernel files for AVX-512 only.
 *
 * A masked load reads zeros where the mask is off and touches no memory there, so that every loop ends in one
 * more step of the same kind instead of a slow scalar tail. */
#ifndef PF_LANES_AVX512_H
#define PF_LANES_AVX512_H

#include <immintrin.h>
#include <stddef.h>

/* The lanes that n more floats fill: all 16, or the lowest n. */
static inline __attribute__((always_inline)) __mmask16 lanes(size_t n) {
    return (__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1);
}

#endif
