/* floor 3.4 - BPE learning: a byte-level vocabulary from texts.
 *
 *   pf_vocabulary vocabulary; pf_vocabulary_storage storage = {0};
 *   if (pf_bpe_learn(&text, 1, 1024, &vocabulary, &storage, error))
 *       tokenizer = pf_tokenizer_new(&vocabulary, error); // which copies it
 *   ... pf_vocabulary_to_checkpoint(&vocabulary, checkpoint, error) // to store it in a GGUF file
 *   pf_vocabulary_storage_free(&storage);
 *
 * Sennrich 2016, algorithm 1, over bytes (Radford 2019): a text is cut into words, each byte of a
 * word is a symbol, and the most frequent pair of neighbours becomes a new piece until there are
 * enough. Of pairs that are equally frequent, the one with the smaller left id wins, then the one
 * with the smaller right id: the order of Hugging Face's trainer, so both learn the same merges.
 * A pair that occurs once is not merged, nor is a pair of more than PF_BPE_LONGEST bytes.
 */
#ifndef PF_BPE_LEARN_H
#define PF_BPE_LEARN_H

#include "file.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

#define PF_BPE_LEAST 257    /* pieces: <|endoftext|> and a piece per byte */
#define PF_BPE_LONGEST 1024 /* bytes of a piece */

/* Learns n_pieces >= PF_BPE_LEAST pieces from texts [n_texts]; fewer, in vocabulary->n_pieces, if
 * the texts have no more pairs that occur twice.
 *
 *   id 0           <|endoftext|>: a control token, BOS and EOS; BOS is added
 *   ids 1 ... 256  the bytes, in the order of the characters that pieces write them as
 *   the others     the merges, by rank
 *
 * Where a text says <|endoftext|>, one document ends and the next begins. The pre-tokenizer is
 * GPT-2's. The result depends on the texts alone. *storage owns the memory of the vocabulary: zero
 * it before, and free it also after a failure.
 *
 * For n bytes of different words, time is O(n log n) and memory O(n). All 8,096 pieces of two
 * megabytes of TinyStories take 0.05 s and 9 MB on a core of a Xeon with AVX-512. */
bool pf_bpe_learn(const pf_slice *texts, size_t n_texts, size_t n_pieces, pf_vocabulary *vocabulary,
                  pf_vocabulary_storage *storage, pf_error *error);

#endif
