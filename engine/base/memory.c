/* floor 0.1 - memory: every allocation of the library, with its size checked.
 *
 * Invariant: each block is preceded by a header of PF_ALIGN bytes that holds what pf_realloc and
 * pf_free need: the block's size and the pointer that calloc returned. */
#define _DEFAULT_SOURCE /* madvise */
#include "memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    void *base; /* what calloc returned */
    size_t bytes;
} block_header;

_Static_assert(sizeof(block_header) <= PF_ALIGN, "the header must fit before an aligned block");

static atomic_long fail_after; /* 0: off; > 0: counts down to the first failure; < 0: failing */

void pf_memory_fail_after(long n) { atomic_store(&fail_after, n); }

static bool must_fail(void) {
    long left = atomic_load(&fail_after);
    while (left > 0) {
        long next = left == 1 ? -1 : left - 1;
        if (atomic_compare_exchange_weak(&fail_after, &left, next)) return next < 0;
    }
    return left < 0;
}

bool pf_mul_size(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

static block_header *header_of(void *block) {
    return (block_header *)(void *)((char *)block - PF_ALIGN);
}

void *pf_calloc(size_t count, size_t size, const char *what, pf_error *error) {
    size_t bytes = 0;
    void *base = NULL;
    if (pf_mul_size(count, size, &bytes) && bytes <= SIZE_MAX / 2 && !must_fail())
        base = calloc(1, bytes + 2 * PF_ALIGN);
    if (!base) {
        pf_fail(error,
                "not enough memory for %s (%zu x %zu bytes); use a smaller model, a shorter text "
                "or a smaller --context",
                what, count, size);
        return NULL;
    }
    size_t offset = 2 * PF_ALIGN - (uintptr_t)base % PF_ALIGN;
    char *aligned = (char *)base + offset;
    *header_of(aligned) = (block_header){base, bytes};
    return aligned;
}

void *pf_realloc(void *block, size_t count, size_t size, const char *what, pf_error *error) {
    void *grown = pf_calloc(count, size, what, error);
    if (!grown || !block) return grown;
    size_t bytes = header_of(block)->bytes;
    memcpy(grown, block, bytes < count * size ? bytes : count * size);
    pf_free(block);
    return grown;
}

char *pf_strndup(const char *text, size_t n, pf_error *error) {
    char *copy = pf_calloc(n + 1, 1, "a text", error);
    if (copy) memcpy(copy, text, n);
    return copy;
}

void pf_huge_pages(void *block) {
#ifdef MADV_HUGEPAGE
    const block_header *header = header_of(block);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)block;
    uintptr_t end = (first + header->bytes) & ~(page - 1);
    first = (first + page - 1) & ~(page - 1); /* only pages that lie within this block */
    if (end > first)
        madvise((char *)block + (first - (uintptr_t)block), end - first, MADV_HUGEPAGE);
#else
    (void)block;
#endif
}

void pf_free(void *block) {
    if (block) free(header_of(block)->base);
}
