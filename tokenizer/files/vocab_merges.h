/* floor 3.3 - vocab and merges: reads GPT-2's pair of files.
 *
 *   vocab.json (encoder.json)    {"piece": id, ...}
 *   merges.txt (vocab.bpe)       "#version: 0.2", then a line "left right" per merge, by rank
 *
 * The files do not name a pre-tokenizer, special tokens or their ids. We use GPT-2's pre-tokenizer
 * and take pieces "<|...|>" as control tokens. <|endoftext|>, if present, is BOS and EOS; neither
 * is added.
 */
#ifndef PF_VOCAB_MERGES_H
#define PF_VOCAB_MERGES_H

#include "file.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* As pf_sentencepiece_model_read. */
bool pf_vocab_merges_read(pf_slice vocab_json, pf_slice merges_txt, pf_vocabulary *vocabulary,
                          pf_vocabulary_storage *storage, pf_error *error);

#endif
