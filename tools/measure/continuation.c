/* floor 5.4 - continuation: what a session would write next, greedily. */
#include "continuation.h"

#include "divergence.h"
#include "memory.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

static int32_t most_probable(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

bool continue_greedily(pf_session *session, const pf_tokenizer *tokenizer, const int32_t *prompt,
                       size_t n_prompt, size_t n, float *logits, pf_tokens *written,
                       pf_error *error) {
    size_t V = pf_session_model(session)->n_vocab;
    pf_session_reset(session);
    if (!pf_session_append(session, prompt, n_prompt, logits, 1, error)) return false;
    while (written->count < n) {
        if (terminal_interrupted()) return pf_fail(error, "interrupted");
        int32_t id = most_probable(logits, V);
        if (!pf_tokens_push(written, id, error)) return false;
        if (tokenizer && pf_tokenizer_is_end(tokenizer, id)) return true;
        if (pf_session_room(session) == 0) return true;
        if (!pf_session_append(session, &id, 1, logits, 1, error)) return false;
    }
    return true;
}

size_t first_difference(const pf_tokens *a, const pf_tokens *b) {
    size_t i = 0;
    while (i < a->count && i < b->count && a->ids[i] == b->ids[i]) i++;
    return i == a->count && i == b->count ? SIZE_MAX : i;
}

bool text_of(const pf_tokenizer *tokenizer, const int32_t *ids, size_t n, size_t n_before,
             char **text, size_t *split, pf_error *error) {
    size_t most = (tokenizer ? pf_tokenizer_max_bytes(tokenizer) : 0) + 16, used = 0;
    char *out = pf_calloc(n + 2, most, "a text", error);
    if (!out) return false;
    pf_decoder decoder = {.started = true};
    *split = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == n_before) *split = used;
        if (tokenizer)
            used += pf_decoder_push(tokenizer, &decoder, ids[i], out + used);
        else
            used += (size_t)snprintf(out + used, most, "%s%d", i ? " " : "", ids[i]);
    }
    if (n_before >= n) *split = used;
    if (tokenizer) used += pf_decoder_finish(&decoder, out + used);
    out[used] = '\0';
    *text = out;
    return true;
}
