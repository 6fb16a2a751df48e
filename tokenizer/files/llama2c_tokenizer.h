/* floor 3.2 - llama2.c's tokenizer.bin: pieces and scores of a SentencePiece BPE vocabulary.
 *
 *   u32 longest piece in bytes, then per id:  f32 score, i32 size, `size` bytes
 *
 * The file has neither a count nor types: ids 0, 1 and 2 are <unk>, <s> and </s>, and a piece
 * "<0x0A>" is that byte. Pieces have plain spaces in the file; here they become U+2581, as in GGUF.
 *
 * One choice is not in the file: run.c puts a space before the first word and leaves all other
 * spaces alone, while SentencePiece trims and collapses them. We follow run.c
 * (remove_extra_whitespaces is false), so you get the ids that the model's authors got.
 */
#ifndef PF_LLAMA2C_TOKENIZER_H
#define PF_LLAMA2C_TOKENIZER_H

#include "file.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* Reads exactly n_vocab pieces; a file with fewer or more is an error. Everything is copied to
 * *storage: you may unmap `bytes` afterwards. */
bool pf_llama2c_tokenizer_read(pf_slice bytes, size_t n_vocab, pf_vocabulary *vocabulary,
                               pf_vocabulary_storage *storage, pf_error *error);

#endif
