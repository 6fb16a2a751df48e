/* floor 3.0 - charsmap: SentencePiece's compiled normalisation rules.
 *
 *   u32 bytes of the trie, the trie, then the replacements, each ending in NUL
 *
 * The trie is a double array (Aoe 1989) in the layout of darts-clone: u32 units. A unit holds the
 * byte that led to it, the XOR distance to its children, and whether one of them is a leaf; a
 * leaf's value is the offset of the replacement. If several rules fit, the longest one applies.
 */
#ifndef PF_CHARSMAP_H
#define PF_CHARSMAP_H

#include <stddef.h>

/* Finds the rule for the start of text [n bytes]. Returns how many bytes it replaces, 0 if there is
 * no rule; *to [*to_size] points into the map. Never reads outside the map. */
size_t pf_charsmap_find(const char *map, size_t map_size, const char *text, size_t n,
                        const char **to, size_t *to_size);

#endif
