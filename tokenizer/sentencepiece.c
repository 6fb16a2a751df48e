/* floor 3.1 - SentencePiece: what its BPE and Unigram models have in common. */
#include "sentencepiece.h"

#include "memory.h"

#include <string.h>

static const char escaped_space[] = "\xE2\x96\x81"; /* U+2581, lower one eighth block */

typedef struct writer {
    char *bytes;
    size_t n;
    bool escape;
} writer;

static void put_space(writer *out) {
    size_t n = out->escape ? 3 : 1;
    memcpy(out->bytes + out->n, out->escape ? escaped_space : " ", n);
    out->n += n;
}

bool pf_sentencepiece_prepare(const pf_vocabulary *vocabulary, const char *text, size_t n,
                              bool prefix, char **result, size_t *result_size, pf_error *error) {
    bool collapse = vocabulary->remove_extra_whitespaces;
    while (collapse && n && text[0] == ' ') text++, n--;
    while (collapse && n && text[n - 1] == ' ') n--;

    writer out = {.escape = vocabulary->escape_whitespaces};
    out.bytes = pf_calloc(n + 1, out.escape ? 3 : 1, "the text to tokenize", error);
    if (!out.bytes) return false;
    bool has_one = vocabulary->prefix_if_none && n &&
                   (text[0] == ' ' || (n >= 3 && memcmp(text, escaped_space, 3) == 0));
    if (n && prefix && vocabulary->add_space_prefix && !has_one) put_space(&out);
    for (size_t i = 0; i < n; i++) {
        if (text[i] != ' ')
            out.bytes[out.n++] = text[i];
        else if (!collapse || text[i - 1] != ' ') /* trimmed, so i > 0 */
            put_space(&out);
    }
    /* SentencePiece trims what it has written, and so a U+2581 of the text as well. */
    while (collapse && out.escape && out.n >= 3 &&
           memcmp(out.bytes + out.n - 3, escaped_space, 3) == 0)
        out.n -= 3;
    *result = out.bytes;
    *result_size = out.n;
    return true;
}

bool pf_sentencepiece_unknown(const pf_vocabulary *vocabulary, const int32_t byte_ids[256],
                              const char *bytes, size_t n, bool *in_unknown, pf_tokens *tokens,
                              pf_error *error) {
    bool fallback = vocabulary->byte_fallback;
    for (size_t i = 0; i < n && fallback; i++) fallback = byte_ids[(uint8_t)bytes[i]] >= 0;
    if (fallback) {
        *in_unknown = false;
        for (size_t i = 0; i < n; i++)
            if (!pf_tokens_push(tokens, byte_ids[(uint8_t)bytes[i]], error)) return false;
        return true;
    }
    if (*in_unknown) return true;
    *in_unknown = true;
    if (vocabulary->unk < 0)
        return pf_fail(error,
                       "the vocabulary has no piece for the character '%.*s', no <0xNN> pieces and "
                       "no <unk>: remove the character",
                       (int)n, bytes);
    return pf_tokens_push(tokens, vocabulary->unk, error);
}
