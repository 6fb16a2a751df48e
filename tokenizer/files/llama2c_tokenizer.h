/* floor 3.2 - llama2.c's tokenizer.bin: pieces and scores of a SentencePiece BPE vocabulary.
 *
 *   u32 longest piece in bytes, then per id:  f32 score, i32 size, `size` bytes
 *
 * The file has no count and no types: ids 0, 1, 2 are <unk>, <s>, </s>, and a piece "<0x0A>" is that
 * byte. Its pieces contain plain spaces; here they become U+2581, as everywhere else in GGUF.
 *
 * The choice that is not in the file: run.c puts a space before the first word and leaves all other
 * spaces alone, where SentencePiece itself trims and collapses them. We follow run.c
 * (remove_extra_whitespaces = false), so ids are those that the model's authors saw.
 */
#ifndef PF_LLAMA2C_TOKENIZER_H
#define PF_LLAMA2C_TOKENIZER_H

#include "file.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* Reads exactly n_vocab pieces; a file that is too short, or goes on after them, is an error.
 * Everything lands in *storage: `bytes` may be unmapped afterwards. */
bool pf_llama2c_tokenizer_read(pf_slice bytes, size_t n_vocab, pf_vocabulary *vocabulary,
                               pf_vocabulary_storage *storage, pf_error *error);

#endif
