/* floor 3.3 - byte-level BPE: words of a pre-tokenizer, their bytes merged by rank. */
#ifndef PF_BPE_H
#define PF_BPE_H

#include "tokenizer_private.h"

/* Compiles the pre-tokenizer and the table of merges. Merges whose pieces the vocabulary lacks can
 * never happen and are left out. */
bool pf_bpe_init(pf_tokenizer *tokenizer, pf_error *error);

/* Appends the ids of a part of a text [n bytes] that holds no special tokens. A byte that the
 * vocabulary lacks becomes its unknown token; if it has none the byte is left out, as others do. */
bool pf_bpe_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, pf_tokens *tokens,
                   pf_error *error);

/* Pieces write each byte as a printable character (a space is U+0120, "Ġ"). Undoes that: writes at most
 * `size` bytes to out and returns how many; characters that stand for no byte stay as they are. */
size_t pf_bpe_decode_piece(const char *piece, size_t size, char *out);

#endif
