/* floor 3.0 - charsmap: SentencePiece's precompiled table of normalisation rules.
 *
 *   u32 bytes of the trie, the trie, then the replacements, each ending in NUL
 *
 * The trie is a double array (Aoe 1989, in the layout of darts-clone): u32 units, where a unit holds the
 * byte that led to it, the XOR distance to its children, and whether one of them is a leaf, whose value is
 * the offset of the replacement. Of several rules that fit, the longest is taken.
 */
#ifndef PF_CHARSMAP_H
#define PF_CHARSMAP_H

#include <stddef.h>

/* The rule for what text [n bytes] begins with: returns how many bytes it takes, 0 if there is no rule;
 * *to [*to_size] points into the map. Whatever the map says, nothing outside of it is read. */
size_t pf_charsmap_find(const char *map, size_t map_size, const char *text, size_t n,
                        const char **to, size_t *to_size);

#endif
