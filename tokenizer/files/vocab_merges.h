/* floor 3.3 - vocab and merges: GPT-2's pair of files, under either of their names.
 *
 *   vocab.json (encoder.json)    {"piece": id, ...}
 *   merges.txt (vocab.bpe)       "#version: 0.2", then a line "left right" per merge, by rank
 *
 * The files say nothing of pre-tokenizers, special tokens and ids of them. We take GPT-2's pre-tokenizer,
 * and pieces "<|...|>" as control tokens; <|endoftext|>, if there, is BOS and EOS, and neither is added.
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
