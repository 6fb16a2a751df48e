/* floor 3.4 - tokenizer.json: the tokenizers of Hugging Face, as one file has them.
 *
 *   model          BPE or Unigram
 *   added_tokens   special ones become control tokens, the others user-defined; lstrip and rstrip are kept
 *   normalizer, pre_tokenizer, post_processor    see tokenizer_json_steps.h
 *
 * BPE over bytes (ByteLevel; GPT-2, Llama 3, Qwen) merges by rank. BPE over characters with U+2581 for a
 * space (Llama 2) is SentencePiece's: a piece scores minus the rank of the merge that makes it. That gives
 * the same ids if every way to make a piece of two others is a merge, as converters write it; else the file
 * is refused. Patterns of well-known models get their name (tokenizer.ggml.pre), so that others who read
 * the GGUF know them; other patterns are kept as they are.
 *
 * BOS and EOS are those of the post-processor, or special tokens with a usual name (<s>, </s>,
 * <|begin_of_text|>, <|end_of_text|>, <|endoftext|>).
 */
#ifndef PF_TOKENIZER_JSON_H
#define PF_TOKENIZER_JSON_H

#include "file.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* As pf_sentencepiece_model_read. */
bool pf_tokenizer_json_read(pf_slice bytes, pf_vocabulary *vocabulary,
                            pf_vocabulary_storage *storage, pf_error *error);

#endif
