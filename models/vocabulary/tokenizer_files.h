/* floor 4.1 - tokenizer files: reads a tokenizer of any format, recognised by its content.
 *
 *   tokenizer.json             Hugging Face
 *   tokenizer.model            SentencePiece
 *   vocab.json, encoder.json   GPT-2's vocabulary; merges.txt or vocab.bpe must be in its folder
 *   merges.txt, vocab.bpe      GPT-2's merges; vocab.json or encoder.json must be in their folder
 *   tokenizer.bin              llama2.c
 *   a GGUF file                that contains a tokenizer
 *   a folder                   with tokenizer.json, tokenizer.model, vocab.json, encoder.json or
 *                              tokenizer.bin; the first of these that it has
 */
#ifndef PF_TOKENIZER_FILES_H
#define PF_TOKENIZER_FILES_H

#include "checkpoint.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* Reads any of them except a GGUF file. n_vocab: rows of the model's embedding, or 0 if unknown; a
 * tokenizer.bin cannot be read without it. *storage owns all memory of the vocabulary: zero it
 * before, and free it also after a failure. Messages begin with the path of a file. */
bool pf_tokenizer_file_read(const char *path, size_t n_vocab, pf_vocabulary *vocabulary,
                            pf_vocabulary_storage *storage, pf_error *error);

/* True if the folder has a tokenizer file, as listed for folders above. */
bool pf_tokenizer_file_in_folder(const char *folder);

/* Sets the tokenizer.ggml.* keys of the checkpoint from any of them. The tokenizer may not have
 * more tokens than the checkpoint's token_embd.weight has rows. */
bool pf_tokenizer_file_to_checkpoint(const char *path, pf_checkpoint *checkpoint, pf_error *error);

#endif
