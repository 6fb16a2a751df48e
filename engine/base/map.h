/* floor 0.2 - map: a hash table from bytes to numbers.
 *
 *   pf_map map = {0};
 *   pf_map_put(&map, name, strlen(name), index, error);
 *   if (pf_map_get(&map, name, strlen(name), &index)) ...
 *   pf_map_free(&map);
 *
 * Built on stb_ds, which only map.c includes. Any number of threads may read a map that no thread is
 * writing.
 */
#ifndef PF_MAP_H
#define PF_MAP_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* All zeros is an empty map. */
typedef struct pf_map {
    struct pf_map_entry *entries; /* stb_ds's array; NULL in an empty map */
    uint64_t secret[2];           /* seeds the hash, so that no file can make lookups slow */
    uint64_t hash_mask;           /* test hook: the bits of a hash to keep, 0 for all */
} pf_map;

/* Stores `value` under key [n bytes, NULs included]. A key that is already there keeps its first
 * value. The map borrows the key: its bytes must not move or change before pf_map_free. If memory
 * runs out, the map is unchanged. */
bool pf_map_put(pf_map *map, const char *key, size_t n, size_t value, pf_error *error);

/* True and *value if the key is there; otherwise false, and *value is as before. */
bool pf_map_get(const pf_map *map, const char *key, size_t n, size_t *value);

size_t pf_map_count(const pf_map *map); /* keys in the map */
void pf_map_free(pf_map *map);          /* and empties it */

#endif
