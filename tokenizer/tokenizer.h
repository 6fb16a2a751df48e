/* floor 3.4 - tokenizer: text <-> token ids.
 *
 *   pf_tokens ids = {0};
 *   pf_tokenizer_encode(tokenizer, text, n, PF_ENCODE_BOS | PF_ENCODE_SPECIAL, &ids, &error);
 *   pf_decoder decoder = {0};
 *   for (...) { n = pf_decoder_push(tokenizer, &decoder, id, out); fwrite(out, 1, n, stdout); }
 */
#ifndef PF_TOKENIZER_H
#define PF_TOKENIZER_H

#include "tokens.h"
#include "vocabulary.h"

typedef struct pf_tokenizer pf_tokenizer;

/* Copies what it needs from the vocabulary. NULL with a message if the vocabulary is inconsistent
 * (ids out of range, an unknown pre-tokenizer, no pieces). */
pf_tokenizer *pf_tokenizer_new(const pf_vocabulary *vocabulary, pf_error *error);
void pf_tokenizer_free(pf_tokenizer *tokenizer); /* NULL is allowed */

enum {
    /* BOS first and EOS last, if the vocabulary's add_bos and add_eos say so */
    PF_ENCODE_BOS = 1,
    /* control tokens in the text, such as "<|im_end|>", become their ids; user-defined tokens
     * always do */
    PF_ENCODE_SPECIAL = 2,
    /* BOS first even where the vocabulary does not add one */
    PF_ENCODE_FORCE_BOS = 4,
    /* the text continues another one: no add_space_prefix at its start */
    PF_ENCODE_CONTINUED = 8,
};

/* Appends the ids of text [n bytes, invalid UTF-8 included] to *tokens, in about linear time.
 * Thread-safe. */
bool pf_tokenizer_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, unsigned flags,
                         pf_tokens *tokens, pf_error *error);

/* The bytes that an id stands for, *n of them, owned by the tokenizer: escapes are resolved, a byte
 * token is its byte, a control token is empty unless `special`. NULL if the id is out of range. */
const char *pf_tokenizer_bytes(const pf_tokenizer *tokenizer, int32_t id, bool special, size_t *n);
/* The piece as the vocabulary writes it ("▁the", "<0x0A>", "Ġthe"), *n bytes, or NULL. */
const char *pf_tokenizer_piece(const pf_tokenizer *tokenizer, int32_t id, size_t *n);

/* Decodes one id at a time; zero it first. It holds an incomplete UTF-8 character back until an id
 * completes it, and drops the space that SentencePiece puts before the first word. */
typedef struct pf_decoder {
    char held[4]; /* bytes of an incomplete character */
    int n_held;
    bool started;
} pf_decoder;
/* Writes whole characters to out [pf_tokenizer_max_bytes + 16] and returns how many bytes it wrote.
 * Bytes that cannot become valid UTF-8 are written as U+FFFD. */
size_t pf_decoder_push(const pf_tokenizer *tokenizer, pf_decoder *decoder, int32_t id, char *out);
size_t pf_decoder_finish(pf_decoder *decoder, char *out); /* U+FFFD if bytes are still held */
/* The most bytes that one id adds to a decoded text. */
size_t pf_tokenizer_max_bytes(const pf_tokenizer *tokenizer);

size_t pf_tokenizer_size(const pf_tokenizer *tokenizer);                     /* number of ids */
const pf_vocabulary *pf_tokenizer_vocabulary(const pf_tokenizer *tokenizer); /* its own copy */
/* True for ids that end a generation: EOS, EOT, other end-of-turn markers, and BOS. */
bool pf_tokenizer_is_end(const pf_tokenizer *tokenizer, int32_t id);

#endif
