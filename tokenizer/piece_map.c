/* floor 3.1 - piece map: bytes -> id and pair of ids -> merge, two hash tables of fixed size. */
#include "piece_map.h"

#include "memory.h"

#include <string.h>

/* The finaliser of MurmurHash3: every input bit reaches every output bit. */
static uint64_t mix(uint64_t h) {
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCDull;
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53ull;
    return h ^ h >> 33;
}

static uint64_t hash_bytes(const char *bytes, size_t n) {
    uint64_t h = n * 0x9E3779B97F4A7C15ull, word;
    for (; n >= 8; n -= 8, bytes += 8) {
        memcpy(&word, bytes, 8);
        h = (h ^ word) * 0xD6E8FEB86659FD93ull;
        h ^= h >> 32;
    }
    word = 0;
    if (n) memcpy(&word, bytes, n);
    return mix(h ^ word);
}

static uint32_t *new_slots(size_t n, size_t *mask, pf_error *error) {
    size_t count = 16;
    while (count / 2 < n && count < SIZE_MAX / 2) count *= 2;
    *mask = count - 1;
    return pf_calloc(count, sizeof(uint32_t), "the index of the vocabulary", error);
}

static bool too_many_probes(pf_error *error) {
    return pf_fail(error, "the vocabulary is built to make lookups slow; this is no honest file");
}

bool pf_piece_map_new(pf_piece_map *map, const pf_piece *pieces, size_t n, pf_error *error) {
    map->pieces = pieces;
    map->slots = new_slots(n, &map->mask, error);
    return map->slots != NULL;
}

void pf_piece_map_free(pf_piece_map *map) {
    pf_free(map->slots);
    map->slots = NULL;
}

/* The slot that holds the bytes, or the free one where they belong; NULL after too many probes. */
static uint32_t *piece_slot(const pf_piece_map *map, const char *bytes, size_t n) {
    uint64_t h = hash_bytes(bytes, n);
    for (size_t probe = 0; probe < PF_MAX_PROBES; probe++) {
        uint32_t *slot = &map->slots[(h + probe) & map->mask];
        if (*slot == 0) return slot;
        const pf_piece *piece = &map->pieces[*slot - 1];
        if (piece->size == n && memcmp(piece->bytes, bytes, n) == 0) return slot;
    }
    return NULL;
}

bool pf_piece_map_add(pf_piece_map *map, int32_t id, pf_error *error) {
    uint32_t *slot = piece_slot(map, map->pieces[id].bytes, map->pieces[id].size);
    if (!slot) return too_many_probes(error);
    if (*slot == 0) *slot = (uint32_t)id + 1;
    return true;
}

int32_t pf_piece_map_find(const pf_piece_map *map, const char *bytes, size_t n) {
    const uint32_t *slot = piece_slot(map, bytes, n);
    return slot && *slot ? (int32_t)(*slot - 1) : -1;
}

bool pf_pair_map_new(pf_pair_map *map, const pf_merge_rule *rules, size_t n, pf_error *error) {
    map->rules = rules;
    map->slots = new_slots(n, &map->mask, error);
    return map->slots != NULL;
}

void pf_pair_map_free(pf_pair_map *map) {
    pf_free(map->slots);
    map->slots = NULL;
}

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
    if (!slot) return too_many_probes(error);
    if (*slot == 0) *slot = index + 1;
    return true;
}

const pf_merge_rule *pf_pair_map_find(const pf_pair_map *map, int32_t left, int32_t right) {
    const uint32_t *slot = pair_slot(map, left, right);
    return slot && *slot ? &map->rules[*slot - 1] : NULL;
}
