/* floor 5.3 - warn of the model: what is odd about it, or about a text made for it. */
#include "warn_model.h"

#include "terminal.h"

#include <stdio.h>
#include <unistd.h>

/* A piece as it is spelled, cut to what a line can show. */
#define SPELLED(piece) (int)((piece)->size < 40 ? (piece)->size : 40), (piece)->bytes

/* Tokens without the padding at the end, which makes a tokenizer as large as its model. */
static size_t used_tokens(const pf_vocabulary *v) {
    size_t n = v->n_pieces;
    while (n > 0 && v->pieces[n - 1].type == PF_TOKEN_UNUSED) n--;
    return n;
}

void warn_of_tokenizer(const options *parsed, const pf_loaded *loaded) {
    if (!loaded->tokenizer) return;
    const pf_vocabulary *v = pf_tokenizer_vocabulary(loaded->tokenizer);
    if (v->kind == PF_TOKENIZER_BPE && !v->pre[0] && v->n_patterns == 0)
        note(parsed,
             "performer: %s does not say how its tokenizer cuts text into words "
             "(tokenizer.ggml.pre is missing); a default is used, which may be wrong for this "
             "model: convert it again, with --tokenizer",
             parsed->model);
    if (v->eos >= 0 && v->pieces[v->eos].type == PF_TOKEN_NORMAL)
        note(parsed,
             "performer: the tokenizer's EOS \"%.*s\" (token %d) is marked as ordinary text, so "
             "it is not recognised in a prompt",
             SPELLED(&v->pieces[v->eos]), (int)v->eos);
    size_t rows = loaded->model ? loaded->model->n_vocab : 0, used = used_tokens(v);
    size_t rounded = (used + 255) / 256 * 256; /* a matrix of a handy size is nothing odd */
    if (rows > rounded && rows - used > used / 8)
        note(parsed,
             "performer: the tokenizer has %zu tokens, but the model %zu; it may belong to "
             "another model",
             used, rows);
}

void warn_of_adapter_beside(const options *parsed) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/adapter_config.json", parsed->model);
    if (parsed->given[FLAG_LORA] || n < 0 || (size_t)n >= sizeof path || access(path, F_OK) != 0)
        return;
    note(parsed,
         "performer: %s also has a LoRA adapter (adapter_config.json), which is not used; to use "
         "it, add --lora %s",
         parsed->model, parsed->model);
}

bool warn_of_two_bos(const options *parsed, const pf_loaded *loaded, const pf_tokens *ids) {
    const pf_vocabulary *v = pf_tokenizer_vocabulary(loaded->tokenizer);
    if (!v->add_bos || v->bos < 0 || ids->count < 2 || ids->ids[0] != v->bos ||
        ids->ids[1] != v->bos)
        return false;
    note(parsed,
         "performer: the text begins with \"%.*s\" (BOS), which this model adds by itself, so it "
         "is there twice; leave it out",
         SPELLED(&v->pieces[v->bos]));
    return true;
}
