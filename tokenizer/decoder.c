/* floor 3.5 - decoder: ids -> text, one id at a time, in whole UTF-8 characters. */
#include "tokenizer.h"
#include "utf8.h"

#include <string.h>

static size_t put_replacement(char *out) {
    memcpy(out, "\xEF\xBF\xBD", 3); /* U+FFFD */
    return 3;
}

/* Moves bytes from held to out, except for a character that is still incomplete. */
static size_t release(pf_decoder *decoder, char *out) {
    size_t written = 0;
    while (decoder->n_held) {
        size_t n = (size_t)decoder->n_held;
        pf_utf8 character = pf_utf8_next(decoder->held, n);
        if (character.incomplete) break;
        if (character.valid) {
            memcpy(out + written, decoder->held, character.size);
            written += character.size;
        } else {
            written += put_replacement(out + written);
        }
        memmove(decoder->held, decoder->held + character.size, n - character.size);
        decoder->n_held = (int)(n - character.size);
    }
    return written;
}

size_t pf_decoder_push(const pf_tokenizer *tokenizer, pf_decoder *decoder, int32_t id, char *out) {
    size_t n = 0, written = 0;
    const char *bytes = pf_tokenizer_bytes(tokenizer, id, false, &n);
    const pf_vocabulary *vocabulary = pf_tokenizer_vocabulary(tokenizer);
    if (!bytes || n == 0) return 0;
    if (!decoder->started && vocabulary->kind != PF_TOKENIZER_BPE && vocabulary->add_space_prefix &&
        bytes[0] == ' ')
        bytes++, n--;
    decoder->started = true;
    for (size_t i = 0; i < n; i++) {
        decoder->held[decoder->n_held++] = bytes[i];
        written += release(decoder, out + written);
    }
    return written;
}

size_t pf_decoder_finish(pf_decoder *decoder, char *out) {
    size_t written = decoder->n_held ? put_replacement(out) : 0;
    decoder->n_held = 0;
    return written;
}
