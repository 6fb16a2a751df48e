/* floor 3.4 - tokenizer.json: reads the tokenizers of Hugging Face.
 *
 *   model          BPE or Unigram
 *   added_tokens   special ones become control tokens, the others user-defined; with lstrip, rstrip
 *   normalizer, pre_tokenizer, post_processor    see tokenizer_json_steps.h
 *
 * BPE over bytes (ByteLevel: GPT-2, Llama 3, Qwen) merges by rank. BPE over characters with U+2581
 * for a space (Llama 2) becomes SentencePiece's BPE: the score of a piece is minus the rank of the
 * merge that makes it. This gives the same ids if every two pieces whose texts join to a piece are
 * also a merge, as in files that converters write; other files are refused. The patterns of
 * well-known models are stored by name (tokenizer.ggml.pre), so that other readers of the GGUF know
 * them; other patterns are stored as they are.
 *
 * BOS and EOS are those of the post-processor; failing that, the special tokens with a usual name
 * (<s>, </s>, <|begin_of_text|>, <|end_of_text|>, <|endoftext|>).
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
