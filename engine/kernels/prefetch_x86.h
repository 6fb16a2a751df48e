/* floor 1.0 - prefetching: what to fetch ahead, how far and into which cache, by maker of the
 * processor. docs/performance.md has the measurements.
 *
 * A product with one token reads every weight once, so it is as fast as memory. The processor's own
 * prefetcher stops at the end of each 4 kB page, and a hint may fetch beyond it. Which hint is good
 * depends on the processor:
 *   Intel   T0, into all caches, 1 to 3 kB ahead. NTA, which uses one way of the first-level cache
 *           and no second level, halves the speed of blocks.
 *   AMD     NTA, as measured on Zen 4. Where a hint was measured to be slower or was not measured,
 *           none is given.
 * Other makers' processors are taken for Intel's. A hint never faults, so it may point past the end
 * of the data. Included by the x86 kernels only. */
#ifndef PF_PREFETCH_X86_H
#define PF_PREFETCH_X86_H

#include <immintrin.h>
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

/* Whose processors a kernel is for: a constant in each call. */
typedef enum pf_maker { PF_INTEL, PF_AMD } pf_maker;

enum { PF_LINE = 64 };

/* `bytes` of weights at p are being read: floats, or blocks of 256. On AMD this gives no hint (F32
 * on Zen 4: 4 % faster from memory, 20 % slower from the caches). */
INLINE void pf_fetch_weights(const void *p, size_t bytes, const pf_maker maker) {
    enum { AHEAD = 2048 };
    if (maker == PF_AMD) return;
#pragma GCC unroll 8
    for (size_t i = 0; i < bytes; i += PF_LINE)
        _mm_prefetch((const char *)p + AHEAD + i, _MM_HINT_T0);
}

/* A line of weights at p is being read, in blocks of 32. On AMD one page ahead, so that the address
 * of the next page is looked up in time (Zen 4, mapped file, two threads: Q8_0 6 to 9 % faster,
 * Q4_1 3 to 12 %). */
INLINE void pf_fetch_blocks(const void *p, const pf_maker maker) {
    enum { PAGE = 4096 };
    if (maker == PF_AMD)
        _mm_prefetch((const char *)p + PAGE, _MM_HINT_NTA);
    else
        pf_fetch_weights(p, PF_LINE, maker);
}

/* `bytes` of cached keys or values at p are being read. Those of a long text have left the caches
 * before the next token. On AMD, lines fetched past the second-level cache evict nothing from it,
 * and so nothing into the third (Zen 4: 27 instead of 22 GB/s per core; a text that fits the caches
 * loses 5 %). */
INLINE void pf_fetch_keys(const void *p, size_t bytes, const pf_maker maker) {
    enum { AHEAD = 1024, AHEAD_AMD = 256 };
    for (size_t i = 0; i < bytes; i += PF_LINE)
        if (maker == PF_AMD)
            _mm_prefetch((const char *)p + AHEAD_AMD + i, _MM_HINT_NTA);
        else
            _mm_prefetch((const char *)p + AHEAD + i, _MM_HINT_T0);
}

#endif
