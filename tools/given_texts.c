/* floor 5.4 - given texts: what -p, --file and --tokens name, as ids. */
#include "given_texts.h"

#include "memory.h"

#include <string.h>

bool one_text_is_named(const options *parsed, const char *command) {
    int sources = parsed->given[FLAG_TEXT_ARGUMENT] + parsed->given[FLAG_TEXT_FILE] +
                  parsed->given[FLAG_TOKENS_FILE];
    if (sources == 1) return true;
    complain_usage(command, "%s: give the text with one of -p TEXT, --file FILE and --tokens FILE",
                   sources ? "more than one text is named" : "no text is named");
    return false;
}

bool add_encoded_text(const pf_loaded *loaded, const char *path, const char *text, size_t n,
                      input_texts *texts, pf_error *error) {
    if (!loaded->tokenizer)
        return pf_fail(error, "%s has no tokenizer; give ids with --tokens", path);
    pf_tokens *ids = input_texts_add(texts, error);
    return ids && pf_tokenizer_encode(loaded->tokenizer, text, n, PF_ENCODE_BOS | PF_ENCODE_SPECIAL,
                                      ids, error);
}

/* The ids are also targets, which no session looks at. */
static bool check_ids(const pf_loaded *loaded, const input_texts *texts, pf_error *error) {
    uint32_t n_vocab = loaded->model->n_vocab;
    for (size_t i = 0; i < texts->count; i++)
        for (size_t j = 0; j < texts->texts[i].count; j++)
            if ((uint32_t)texts->texts[i].ids[j] >= n_vocab)
                return pf_fail(error,
                               "token %zu of text %zu has id %d, but the model's vocabulary ends "
                               "at %u",
                               j + 1, i + 1, (int)texts->texts[i].ids[j], n_vocab - 1);
    return true;
}

bool read_given_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                      pf_error *error) {
    if (parsed->given[FLAG_TOKENS_FILE])
        return input_read_ids(parsed->values[FLAG_TOKENS_FILE].text, texts, error) &&
               check_ids(loaded, texts, error);
    char *read = NULL;
    const char *text = parsed->values[FLAG_TEXT_ARGUMENT].text;
    size_t n = text ? strlen(text) : 0;
    if (parsed->given[FLAG_TEXT_FILE]) {
        if (!input_read(parsed->values[FLAG_TEXT_FILE].text, &read, &n, error)) return false;
        text = read;
    }
    bool good = add_encoded_text(loaded, parsed->model, text, n, texts, error);
    pf_free(read);
    return good;
}
