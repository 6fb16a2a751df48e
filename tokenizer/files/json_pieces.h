/* floor 3.2 - JSON pieces: the vocabularies in tokenizer.json and vocab.json -> pieces. */
#ifndef PF_JSON_PIECES_H
#define PF_JSON_PIECES_H

#include "json.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* Above any tokenizer known (262,144 pieces, half a million merges of three values each). */
#define PF_JSON_TOKENIZER ((pf_json_limits){(size_t)128 << 20, (size_t)6000 * 1000, 32})

/* Fills vocabulary->pieces from `vocab`, {"piece": id, ...} or [["piece", score], ...], and `added`, the
 * array of added tokens with ids of their own (or NULL). Ids that nothing has become unused pieces
 * "[PAD7]". Text goes to the storage, where `text_bytes` are reserved for this and all that follows. */
bool pf_json_pieces(const json_t *vocab, const json_t *added, size_t text_bytes,
                    pf_vocabulary *vocabulary, pf_vocabulary_storage *storage, pf_error *error);

/* The id of a piece, -1 if there is none; looks at all of them. */
int32_t pf_json_find_piece(const pf_vocabulary *vocabulary, const char *text);

#endif
