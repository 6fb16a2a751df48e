/* floor 0.1 - memory: every allocation of the library, with its size checked. */
#ifndef PF_MEMORY_H
#define PF_MEMORY_H

#include "error.h"

#include <stddef.h>

#define PF_ALIGN 64 /* bytes: a cache line, and an AVX-512 register */

/* *product = a * b; false if it does not fit in size_t. */
bool pf_mul_size(size_t a, size_t b, size_t *product);

/* count * size bytes, zeroed, aligned to PF_ALIGN. Large blocks come untouched from the kernel, so
 * pages that are never used take no memory. On failure returns NULL with a message that names
 * `what` ("the KV cache"). With count or size 0 the pointer is still valid. Free with pf_free. */
void *pf_calloc(size_t count, size_t size, const char *what, pf_error *error);

/* Grows or shrinks a block of pf_calloc or pf_realloc (or NULL) to count * size bytes; bytes beyond
 * the old size are not zeroed. On failure returns NULL with a message and the block stays valid. */
void *pf_realloc(void *block, size_t count, size_t size, const char *what, pf_error *error);

/* A copy of the text (n bytes, a NUL appended). Free with pf_free. */
char *pf_strndup(const char *text, size_t n, pf_error *error);

/* A hint to give before anything is written: all of this block will be read again and again. With
 * pages of 2 MB the processor needs fewer TLB entries (decoding is a third faster here). But a
 * page is zeroed as a whole when it is first touched, so do not use this for a block that stays
 * mostly unused. */
void pf_huge_pages(void *block);
void pf_free(void *block); /* NULL is allowed */

/* Test hook: the n-th allocation from now (1 = the next one) and all after it fail; 0 switches the
 * hook off. Counts the allocations of all threads. */
void pf_memory_fail_after(long n);

#endif
