/* floor 4.4 - convert: a checkpoint of any supported format -> GGUF. */
#include "convert.h"

#include "foreign.h"
#include "formats.h"
#include "llama2c_tokenizer.h"
#include "vocabulary_meta.h"

#include <string.h>

/* How many ids the model has: the rows of its embedding. tokenizer.bin has no count of its own. */
static bool vocabulary_size(const pf_checkpoint *checkpoint, size_t *n_vocab, pf_error *error) {
    const pf_tensor *embedding = pf_checkpoint_find(checkpoint, "token_embd.weight");
    if (!embedding || embedding->n_dims != 2)
        return pf_fail(error,
                       "%s has no matrix token_embd.weight, so the tokenizer's size is not known",
                       pf_checkpoint_path(checkpoint));
    *n_vocab = (size_t)embedding->shape[1];
    return true;
}

/* tokenizer.bin begins with the length of its longest piece; other formats have their own beginnings. */
static bool check_tokenizer_format(pf_slice bytes, pf_error *error) {
    const char *supported = "supported is llama2.c's tokenizer.bin";
    if (bytes.size >= 4 && memcmp(bytes.data, "GGUF", 4) == 0)
        return pf_fail(error, "this is a GGUF file; %s", supported);
    if (bytes.size >= 2 && bytes.data[0] == '{')
        return pf_fail(error, "this looks like a tokenizer.json; %s", supported);
    if (bytes.size >= 4 && bytes.data[0] == '\n' && bytes.data[1] != 0)
        return pf_fail(error, "this looks like a SentencePiece tokenizer.model; %s", supported);
    return true;
}

static bool add_tokenizer(pf_checkpoint *checkpoint, pf_slice bytes, pf_error *error) {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    size_t n_vocab = 0;
    bool good = check_tokenizer_format(bytes, error) &&
                vocabulary_size(checkpoint, &n_vocab, error) &&
                pf_llama2c_tokenizer_read(bytes, n_vocab, &vocabulary, &storage, error) &&
                pf_vocabulary_to_checkpoint(&vocabulary, checkpoint, error);
    pf_vocabulary_storage_free(&storage);
    return good;
}

static bool add_tokenizer_file(pf_checkpoint *checkpoint, const char *path, pf_error *error) {
    pf_error reason = {""};
    pf_file file;
    if (!pf_file_open(path, &file, error)) return false;
    bool good = add_tokenizer(checkpoint, file.bytes, &reason); /* copies what it keeps */
    pf_file_close(&file);
    return good || pf_fail(error, "%s: %s", path, reason.message);
}

bool pf_convert(const pf_convert_options *options, pf_error *error) {
    pf_checkpoint *checkpoint =
        pf_foreign_adopt(pf_checkpoint_open(options->source, error), options->config, error);
    if (!checkpoint) return false;
    bool good =
        (!options->tokenizer || add_tokenizer_file(checkpoint, options->tokenizer, error)) &&
        (!options->attention ||
         pf_attention_to_checkpoint(options->attention, checkpoint, error)) &&
        pf_gguf_write(checkpoint, options->output, &options->gguf, error);
    pf_checkpoint_free(checkpoint);
    return good;
}
