/* floor 3.1 - piece map: bytes -> id and pair of ids -> merge, two hash tables of fixed size.
 *
 * Open addressing, at most half full. An honest vocabulary never needs more than a handful of
 * probes; one that needs PF_MAX_PROBES was made to be slow, and is refused, so that a lookup is
 * O(1) whatever the file says.
 */
#ifndef PF_PIECE_MAP_H
#define PF_PIECE_MAP_H

#include "vocabulary.h"

#define PF_MAX_PROBES 256

typedef struct pf_piece_map {
    const pf_piece *pieces; /* borrowed: keys are their bytes */
    uint32_t *slots;        /* id + 1; 0: free */
    size_t mask;            /* number of slots - 1 */
} pf_piece_map;

/* Room for n entries. */
bool pf_piece_map_new(pf_piece_map *map, const pf_piece *pieces, size_t n, pf_error *error);
void pf_piece_map_free(pf_piece_map *map);
/* Adds pieces[id] under its bytes; of two with the same bytes the first one added stays. */
bool pf_piece_map_add(pf_piece_map *map, int32_t id, pf_error *error);
int32_t pf_piece_map_find(const pf_piece_map *map, const char *bytes, size_t n); /* -1: none */

typedef struct pf_merge_rule {
    int32_t left, right, merged; /* ids */
    uint32_t rank;               /* lower merges first */
} pf_merge_rule;

typedef struct pf_pair_map {
    const pf_merge_rule *rules; /* borrowed: keys are (left, right) */
    uint32_t *slots;            /* index + 1; 0: free */
    size_t mask;
} pf_pair_map;

bool pf_pair_map_new(pf_pair_map *map, const pf_merge_rule *rules, size_t n, pf_error *error);
void pf_pair_map_free(pf_pair_map *map);
bool pf_pair_map_add(pf_pair_map *map, uint32_t index, pf_error *error);
const pf_merge_rule *pf_pair_map_find(const pf_pair_map *map, int32_t left, int32_t right);

#endif
