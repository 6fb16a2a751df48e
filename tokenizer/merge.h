/* floor 3.1 - merge: the loop of byte-pair encoding, the same for SentencePiece and byte-level BPE.
 *
 * Start with one symbol per character; again and again replace the best pair of neighbours by its
 * merge (the leftmost of equals), until no pair has one. Searching the whole row for each merge is
 * O(n^2); here symbols are a linked list and candidate pairs wait in a heap: O(n log n). A pair whose
 * symbols changed while it waited is recognised by its length, and dropped.
 */
#ifndef PF_MERGE_H
#define PF_MERGE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pf_symbol {
    uint32_t begin, size; /* its bytes in the text; size 0: merged into its left neighbour */
    int32_t id;           /* -1: a character that is no piece */
    uint32_t prev, next;  /* PF_NO_SYMBOL at the ends; set by pf_merge_run */
} pf_symbol;

#define PF_NO_SYMBOL UINT32_MAX

/* A merge of two neighbours, if there is one: *id is the result, the lowest *key merges first. */
typedef bool (*pf_merge_find)(const void *context, const pf_symbol *left, const pf_symbol *right,
                              double *key, int32_t *id);

typedef struct pf_merge_pair {
    double key;
    uint32_t left, right, size;
    int32_t id;
} pf_merge_pair;

/* Working memory, kept from text to text: zero it first. symbols[0 .. n_symbols) is the caller's to
 * fill (pf_merge_add); after pf_merge_run walk it along `next`, from 0. */
typedef struct pf_merge {
    pf_symbol *symbols;
    size_t n_symbols, symbols_capacity;
    pf_merge_pair *heap;
    size_t n_heap, heap_capacity;
} pf_merge;

bool pf_merge_add(pf_merge *merge, size_t begin, size_t size, int32_t id, pf_error *error);
bool pf_merge_run(pf_merge *merge, pf_merge_find find, const void *context, pf_error *error);
void pf_merge_free(pf_merge *merge);

#endif
