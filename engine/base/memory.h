/* floor 0.1 - memory: every allocation of the library goes through here, sizes checked. */
#ifndef PF_MEMORY_H
#define PF_MEMORY_H

#include "error.h"

#include <stddef.h>

#define PF_ALIGN 64 /* bytes: a cache line, and an AVX-512 register */

/* *product = a * b; false if that does not fit size_t. */
bool pf_mul_size(size_t a, size_t b, size_t *product);

/* count * size bytes, zeroed, aligned to PF_ALIGN. Large blocks come untouched from the kernel, so
 * pages that are never used cost nothing. NULL with a message that names `what` ("the KV cache")
 * on failure. count or size 0 gives a valid pointer. Free with pf_free. */
void *pf_calloc(size_t count, size_t size, const char *what, pf_error *error);

/* Grows or shrinks a block of pf_calloc or pf_realloc (or NULL) to count * size bytes; bytes beyond
 * the old size are not zeroed. On failure returns NULL with a message and the block stays valid. */
void *pf_realloc(void *block, size_t count, size_t size, const char *what, pf_error *error);

/* A copy of the text (n bytes, a NUL appended). Free with pf_free. */
char *pf_strndup(const char *text, size_t n, pf_error *error);

/* A hint, before anything is written: all of this block will be read again and again. Pages of 2 MB take
 * the processor fewer look-ups (decoding from them is a third faster here); a page is zeroed as a whole
 * when first touched, so what is used in small parts is better off without. */
void pf_huge_pages(void *block);
void pf_free(void *block); /* NULL is allowed */

/* Test hook: the n-th allocation from now on fails (1 = the next one), and all after it;
 * 0 switches the hook off. Counts allocations of all threads. */
void pf_memory_fail_after(long n);

#endif
