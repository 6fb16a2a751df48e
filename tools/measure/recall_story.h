/* floor 5.1 - recall story: plain sentences made by a seed, where no text is given. */
#ifndef RECALL_STORY_H
#define RECALL_STORY_H

#include "buffer.h"

#include <stdint.h>

/* Appends at least n bytes of short English sentences. Which words meet is left to chance, so a
 * sentence can be copied but not guessed. The same seed gives the same text. */
bool recall_story_write(uint64_t seed, size_t n, pf_buffer *text, pf_error *error);

#endif
