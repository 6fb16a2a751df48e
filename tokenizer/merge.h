/* floor 3.1 - merge: the loop of byte-pair encoding, the same for SentencePiece and byte-level BPE.
 *
 * Start with one symbol per character; again and again replace the best pair of neighbours by its
 * merge (the leftmost of equals), until no pair has one. Searching the whole row for each merge is
 * O(n^2); here symbols are a linked list and candidate pairs wait in a heap: O(n log n). A candidate is
 * 8 bytes, its rank and its left symbol; when it comes up and the symbol has another neighbour by now,
 * the rank no longer fits, and it is dropped.
 */
#ifndef PF_MERGE_H
#define PF_MERGE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pf_symbol {
    uint32_t begin, size; /* its bytes in the text; size 0: merged into its left neighbour */
    int32_t id;           /* -1: a character that is no piece */
    /* pf_merge_run's: */
    uint32_t prev, next; /* PF_NO_SYMBOL at the ends */
    uint32_t rank;       /* of the merge with the next symbol; PF_NO_MERGE: there is none */
    int32_t merged;      /* its id */
} pf_symbol;

#define PF_NO_SYMBOL UINT32_MAX
#define PF_NO_MERGE UINT32_MAX

/* The rank of the merge of two neighbours, lowest first, and its id; or PF_NO_MERGE. */
typedef uint32_t (*pf_merge_find)(const void *context, const pf_symbol *left,
                                  const pf_symbol *right, int32_t *id);

/* Working memory, kept from text to text: zero it first. symbols[0 .. n_symbols) is the caller's to
 * fill (pf_merge_add); after pf_merge_run walk it along `next`, from 0. */
typedef struct pf_merge {
    pf_symbol *symbols;
    size_t n_symbols, symbols_capacity;
    uint64_t *heap; /* rank in the upper half, left symbol in the lower */
    size_t n_heap, heap_capacity;
} pf_merge;

bool pf_merge_add(pf_merge *merge, size_t begin, size_t size, int32_t id, pf_error *error);
bool pf_merge_run(pf_merge *merge, pf_merge_find find, const void *context, pf_error *error);
void pf_merge_free(pf_merge *merge);

#endif
