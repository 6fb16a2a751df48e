/* floor 3.3 - byte-level BPE: merges the bytes of each word by rank. */
#ifndef PF_BPE_H
#define PF_BPE_H

#include "tokenizer_private.h"

/* Compiles the pre-tokenizer and the table of merges. Leaves out merges of pieces that are not in
 * the vocabulary: they cannot happen. */
bool pf_bpe_init(pf_tokenizer *tokenizer, pf_error *error);

/* Appends the ids of a part of a text [n bytes] without special tokens. A byte that is not in the
 * vocabulary becomes its unknown token; without one the byte is dropped, as in other programs. */
bool pf_bpe_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, pf_tokens *tokens,
                   pf_error *error);

/* Pieces write each byte as a printable character (a space is U+0120, "Ġ"). This turns them back
 * into bytes: it writes at most `size` bytes to out and returns how many. Other characters stay as
 * they are. */
size_t pf_bpe_decode_piece(const char *piece, size_t size, char *out);
/* The inverse, for any bytes: writes at most 2 n bytes to out and returns how many. */
size_t pf_bpe_encode_piece(const char *bytes, size_t n, char *out);

#endif
