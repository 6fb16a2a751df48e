/* floor 3.1 - piece map: bytes -> id, and pair of ids -> merge.
 *
 * Bytes -> id is a pf_map, over stb_ds. Pair -> merge, which byte-level BPE looks up for every pair
 * of neighbours, is a table of our own: over stb_ds, encoding a megabyte with GPT-2's vocabulary
 * took 24 % more processor time. Its size is fixed, its addressing open, and it is at most half
 * full. A normal vocabulary needs a handful of probes; one that needs PF_MAX_PROBES was built to be
 * slow, and we refuse it, so that a lookup is O(1) for any file.
 */
#ifndef PF_PIECE_MAP_H
#define PF_PIECE_MAP_H

#include "map.h"

#define PF_MAX_PROBES 256

/* The piece with these bytes, -1 if there is none. The map's values are ids. */
int32_t pf_piece_find(const pf_map *pieces, const char *bytes, size_t n);

typedef struct pf_merge_rule {
    int32_t left, right, merged; /* ids */
    uint32_t rank;               /* lower merges first */
} pf_merge_rule;

typedef struct pf_pair_map {
    const pf_merge_rule *rules; /* borrowed: keys are (left, right) */
    uint32_t *slots;            /* index + 1; 0: free */
    size_t mask;                /* number of slots - 1 */
} pf_pair_map;

/* Room for n of the rules. */
bool pf_pair_map_new(pf_pair_map *map, const pf_merge_rule *rules, size_t n, pf_error *error);
void pf_pair_map_free(pf_pair_map *map);
/* Adds rules[index]. If its pair is already there, the first rule stays. */
bool pf_pair_map_add(pf_pair_map *map, uint32_t index, pf_error *error);
/* The rule that merges the pair, NULL if there is none. */
const pf_merge_rule *pf_pair_map_find(const pf_pair_map *map, int32_t left, int32_t right);

#endif
