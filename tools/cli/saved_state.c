/* floor 5.3 - saved state: session, sampler and decoder, for --save-state and --load-state. */
#include "saved_state.h"

#include "memory.h"
#include "snapshot.h"

#include <string.h>

/* The note in a snapshot: the decoder's held bytes, their number, and whether it has started. */
enum { NOTE_COUNT = sizeof((pf_decoder *)0)->held, NOTE_STARTED };

static void decoder_to_note(const pf_decoder *decoder, unsigned char *note) {
    memcpy(note, decoder->held, sizeof decoder->held);
    note[NOTE_COUNT] = (unsigned char)decoder->n_held;
    note[NOTE_STARTED] = decoder->started;
}

static bool decoder_from_note(const unsigned char *note, pf_decoder *decoder) {
    if (note[NOTE_COUNT] >= sizeof decoder->held) return false;
    memcpy(decoder->held, note, sizeof decoder->held);
    decoder->n_held = note[NOTE_COUNT];
    decoder->started = note[NOTE_STARTED] != 0;
    return true;
}

bool saved_state_save(const saved_state *state, const int32_t *pending, size_t n_pending,
                      const char *path, pf_error *error) {
    pf_continuation rest = {.rng = *pf_sampler_rng(state->sampler),
                            .has_rng = true,
                            .pending = (int32_t *)(uintptr_t)pending, /* not written */
                            .n_pending = n_pending,
                            .logits = n_pending ? NULL : state->logits};
    decoder_to_note(state->decoder, rest.note);
    rest.n_recent = pf_sampler_recent(state->sampler, NULL, PF_RECENT_MOST);
    rest.recent = pf_calloc(rest.n_recent, sizeof *rest.recent, "the state", error);
    if (!rest.recent) return false;
    pf_sampler_recent(state->sampler, rest.recent, rest.n_recent);
    bool done = pf_session_save(state->session, &rest, path, error);
    pf_free(rest.recent);
    return done;
}

bool saved_state_load(const saved_state *state, pf_tokens *pending, bool keep_seed,
                      const char *path, pf_error *error) {
    pf_continuation rest;
    if (!pf_session_load(state->session, path, &rest, error)) return false;
    bool done = true;
    if (!decoder_from_note(rest.note, state->decoder) || (!rest.n_pending && !rest.logits))
        done = pf_fail(error,
                       "%s: the state was saved by another program and lacks what the text "
                       "needs to continue",
                       path);
    for (size_t i = 0; done && i < rest.n_pending; i++)
        done = pf_tokens_push(pending, rest.pending[i], error);
    if (done && rest.logits)
        memcpy(state->logits, rest.logits,
               pf_session_model(state->session)->n_vocab * sizeof *rest.logits);
    pf_sampler_forget(state->sampler);
    for (size_t i = 0; done && i < rest.n_recent; i++)
        pf_sampler_accept(state->sampler, rest.recent[i]);
    if (done && rest.has_rng && !keep_seed) *pf_sampler_rng(state->sampler) = rest.rng;
    pf_continuation_free(&rest);
    return done;
}
