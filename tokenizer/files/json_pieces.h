/* floor 3.2 - JSON pieces: reads the vocabulary of a tokenizer.json or vocab.json. */
#ifndef PF_JSON_PIECES_H
#define PF_JSON_PIECES_H

#include "json.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* More than any known tokenizer needs: 262,144 pieces, half a million merges of three values. */
#define PF_JSON_TOKENIZER ((pf_json_limits){(size_t)128 << 20, (size_t)6000 * 1000, 32})

/* Fills in vocabulary->pieces from `vocab`, {"piece": id, ...} or [["piece", score], ...], and from
 * `added`, the array of added tokens and their ids, or NULL. Ids without a piece become unused
 * pieces such as "[PAD7]". Reserves `text_bytes` in the storage, for the pieces and for what is
 * read later. */
bool pf_json_pieces(const json_t *vocab, const json_t *added, size_t text_bytes,
                    pf_vocabulary *vocabulary, pf_vocabulary_storage *storage, pf_error *error);

/* The id of a piece, -1 if there is none. Searches all of them. */
int32_t pf_json_find_piece(const pf_vocabulary *vocabulary, const char *text);

#endif
