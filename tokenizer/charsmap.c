/* floor 3.0 - charsmap: SentencePiece's compiled normalisation rules. */
#include "charsmap.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LONGEST_RULE 64 /* bytes; real ones take a few characters */

static uint32_t u32_at(const char *bytes) {
    const uint8_t *b = (const uint8_t *)bytes;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint32_t label_of(uint32_t unit) { return unit & 0x800000FFu; } /* not a byte in a leaf */
static uint32_t distance_of(uint32_t unit) { return (unit >> 10) << ((unit & 0x200u) >> 6); }
static bool has_leaf(uint32_t unit) { return unit & 0x100u; }
static uint32_t value_of(uint32_t leaf) { return leaf & 0x7FFFFFFFu; }

size_t pf_charsmap_find(const char *map, size_t map_size, const char *text, size_t n,
                        const char **to, size_t *to_size) {
    if (map_size < 8 || u32_at(map) > map_size - 4) return 0;
    const char *units = map + 4;
    size_t n_units = u32_at(map) / 4, used = 0;
    const char *replacements = units + u32_at(map);
    size_t replacements_size = map_size - 4 - u32_at(map);
    if (n_units == 0) return 0;

    size_t at = distance_of(u32_at(units));
    for (size_t i = 0; i < n && i < LONGEST_RULE; i++) {
        at ^= (uint8_t)text[i];
        if (at >= n_units) break;
        uint32_t unit = u32_at(units + 4 * at);
        if (label_of(unit) != (uint8_t)text[i]) break;
        at ^= distance_of(unit);
        if (!has_leaf(unit) || at >= n_units) continue;
        uint32_t value = value_of(u32_at(units + 4 * at));
        const char *end = value < replacements_size
                              ? memchr(replacements + value, 0, replacements_size - value)
                              : NULL;
        if (!end) continue;
        *to = replacements + value;
        *to_size = (size_t)(end - *to);
        used = i + 1;
    }
    return used;
}
