/* floor 4.1 - tokenizer files: a tokenizer of any supported format, found from its content.
 *
 *   tokenizer.json            of Hugging Face
 *   tokenizer.model           of SentencePiece
 *   vocab.json, encoder.json  of GPT-2, with merges.txt or vocab.bpe beside it; or one of those two, with
 *   merges.txt, vocab.bpe     a vocabulary beside it
 *   tokenizer.bin             of llama2.c
 *   a GGUF                    that has one
 *   a folder                  with one of these, by the names above and in this order
 */
#ifndef PF_TOKENIZER_FILES_H
#define PF_TOKENIZER_FILES_H

#include "checkpoint.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* Reads any of them but a GGUF. n_vocab: rows of the model's embedding, 0 if not known; tokenizer.bin
 * cannot be read without. Everything lands in *storage (zeroed by the caller, freed by it also on
 * failure). Messages begin with the file. */
bool pf_tokenizer_file_read(const char *path, size_t n_vocab, pf_vocabulary *vocabulary,
                            pf_vocabulary_storage *storage, pf_error *error);

/* True if the folder has a tokenizer by one of the names above. */
bool pf_tokenizer_file_in_folder(const char *folder);

/* Writes the tokenizer into the checkpoint (tokenizer.ggml.*), whose token_embd.weight says how many ids
 * there are. */
bool pf_tokenizer_file_to_checkpoint(const char *path, pf_checkpoint *checkpoint, pf_error *error);

#endif
