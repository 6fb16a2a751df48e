/* floor 3.0 - pair counts: how often pieces are neighbours in words, kept up to date by merges.
 *
 * The symbols of all words lie in one array, linked where they are neighbours. A pair knows how
 * often it occurs and where: a chain of places, in the order of the text. Merging it visits these
 * places only, so all merges together take O(n) visits for n symbols, whatever the length of a
 * word. All pairs that a merge makes contain the new piece; so no pair gets places twice, counts of
 * older pairs only fall, and a heap of counts may be out of date, but never too low.
 */
#ifndef PF_PAIR_COUNTS_H
#define PF_PAIR_COUNTS_H

#include "map.h"

#define PF_PAIR_BYTES ((size_t)1 << 30)

typedef struct pf_pair {
    int32_t left, right; /* ids; both together are the key in the map */
    uint64_t count;
    uint32_t first, last; /* of its chain of places */
} pf_pair;

typedef struct pf_pair_counts {
    size_t longest;            /* bytes of a piece: longer pairs are not counted */
    struct pf_link *links;     /* [n_links] a symbol per byte of each word */
    struct pf_place *places;   /* [n_places] */
    pf_pair *pairs;            /* [n_pairs], never moved: the map borrows keys */
    struct pf_heap_item *heap; /* [n_heap] the most frequent pair first */
    const uint64_t *weights;   /* [words] how often a word occurs; borrowed */
    uint32_t *lengths;         /* [n_ids] bytes of each piece */
    size_t n_links, n_places, n_pairs, n_heap;
    size_t n_pushed; /* pairs that have been in the heap */
    pf_map map;
} pf_pair_counts;

/* Room for words of n_bytes bytes in total (at most PF_PAIR_BYTES) and ids below n_ids. weights
 * [words] is borrowed. Zero *counts before, and free it also after a failure. */
bool pf_pair_counts_new(pf_pair_counts *counts, size_t n_bytes, const uint64_t *weights,
                        size_t n_ids, size_t longest, pf_error *error);
void pf_pair_counts_free(pf_pair_counts *counts);

/* Adds the next word, number `word`: a symbol for each of its n bytes, with ids [256] by byte. */
bool pf_pair_counts_add(pf_pair_counts *counts, uint32_t word, const uint8_t *bytes, size_t n,
                        const int32_t *ids, pf_error *error);

/* Takes the most frequent pair, with the smallest ids of equals, and replaces it by the piece `id`
 * in all words. *best is the pair, its count what it was before; {.count = 0} if no pair occurs
 * twice. */
bool pf_pair_counts_merge(pf_pair_counts *counts, int32_t id, pf_pair *best, pf_error *error);

#endif
