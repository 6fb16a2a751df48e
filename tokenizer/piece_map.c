/* floor 3.1 - piece map: bytes -> id, and pair of ids -> merge. */
#include "piece_map.h"

#include "memory.h"

/* The finaliser of MurmurHash3: every input bit reaches every output bit. */
static uint64_t mix(uint64_t h) {
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCDull;
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53ull;
    return h ^ h >> 33;
}

int32_t pf_piece_find(const pf_map *pieces, const char *bytes, size_t n) {
    size_t id;
    return pf_map_get(pieces, bytes, n, &id) ? (int32_t)id : -1;
}

bool pf_pair_map_new(pf_pair_map *map, const pf_merge_rule *rules, size_t n, pf_error *error) {
    map->rules = rules;
    size_t count = 16;
    while (count / 2 < n && count < SIZE_MAX / 2) count *= 2;
    map->mask = count - 1;
    map->slots = pf_calloc(count, sizeof *map->slots, "the table of merges", error);
    return map->slots != NULL;
}

void pf_pair_map_free(pf_pair_map *map) {
    pf_free(map->slots);
    map->slots = NULL;
}

/* The slot of the pair, or the free one where it belongs; NULL after too many probes. */
static uint32_t *pair_slot(const pf_pair_map *map, int32_t left, int32_t right) {
    uint64_t h = mix((uint64_t)(uint32_t)left << 32 | (uint32_t)right);
    for (size_t probe = 0; probe < PF_MAX_PROBES; probe++) {
        uint32_t *slot = &map->slots[(h + probe) & map->mask];
        if (*slot == 0) return slot;
        const pf_merge_rule *rule = &map->rules[*slot - 1];
        if (rule->left == left && rule->right == right) return slot;
    }
    return NULL;
}

bool pf_pair_map_add(pf_pair_map *map, uint32_t index, pf_error *error) {
    uint32_t *slot = pair_slot(map, map->rules[index].left, map->rules[index].right);
    if (!slot)
        return pf_fail(error, "the merges are chosen to make lookups slow; the file is hostile");
    if (*slot == 0) *slot = index + 1;
    return true;
}

const pf_merge_rule *pf_pair_map_find(const pf_pair_map *map, int32_t left, int32_t right) {
    const uint32_t *slot = pair_slot(map, left, right);
    return slot && *slot ? &map->rules[*slot - 1] : NULL;
}
