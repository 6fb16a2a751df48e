/* floor 3.1 - merge: the loop of byte-pair encoding, for SentencePiece and byte-level BPE.
 *
 * Start with one symbol per character and replace the best pair of neighbours by its merge (the
 * leftmost of equals) until no pair has a merge. Searching all pairs for each merge is O(n^2); with
 * the symbols in a linked list and the candidate pairs in a heap it is O(n log n). A candidate is 8
 * bytes: its rank and its left symbol. If that symbol has got a new right neighbour by the time the
 * candidate is popped, the ranks differ and the candidate is dropped.
 */
#ifndef PF_MERGE_H
#define PF_MERGE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pf_symbol {
    uint32_t begin, size; /* its bytes in the text; size 0: merged into the one before */
    int32_t id;           /* -1: a character without a piece */
    /* set by pf_merge_run: */
    uint32_t prev, next; /* PF_NO_SYMBOL at the ends */
    uint32_t rank;       /* of the merge with the next symbol, or PF_NO_MERGE */
    int32_t merged;      /* the id that this merge gives */
} pf_symbol;

#define PF_NO_SYMBOL UINT32_MAX
#define PF_NO_MERGE UINT32_MAX

/* The rank of the merge of two neighbours, lower first, and in *id its id; or PF_NO_MERGE. */
typedef uint32_t (*pf_merge_find)(const void *context, const pf_symbol *left,
                                  const pf_symbol *right, int32_t *id);

/* Working memory, reused from text to text. Zero it first, add the symbols with pf_merge_add, and
 * after pf_merge_run follow `next` from symbols[0]. For the next text set n_symbols to 0. */
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
