/* floor 5.6 - dialogue: turns of a person and a model in one session. */
#include "dialogue.h"

#include "buffer.h"
#include "memory.h"
#include "resources.h"
#include "saved_state.h"
#include "session_flags.h"
#include "terminal.h"

#include <string.h>

bool dialogue_open(dialogue *d, const pf_loaded *loaded, const pf_session_options *session,
                   pf_sampler *sampler, const char *system, pf_stop_texts *stops, pf_error *error) {
    *d = (dialogue){
        .loaded = loaded, .system = system, .sampler = sampler, .stops = stops, .whole = true};
    size_t V = loaded->model->n_vocab;
    d->session = pf_session_new(loaded->model, session, error);
    d->logits = d->session ? pf_calloc(V, sizeof *d->logits, "the logits", error) : NULL;
    size_t room = pf_tokenizer_max_bytes(loaded->tokenizer) + 16;
    d->piece = d->logits ? pf_calloc(room, 1, "a token", error) : NULL;
    if (d->piece) return true;
    dialogue_close(d);
    return false;
}

void dialogue_close(dialogue *d) {
    pf_chat_template_free(&d->template);
    pf_session_free(d->session);
    pf_sampler_free(d->sampler);
    pf_free(d->logits);
    pf_free(d->piece);
    pf_tokens_free(&d->read);
    pf_free(d->last.text);
    *d = (dialogue){0};
}

/* Text that the model continues as it is. A system prompt goes before the first. */
static bool encode_plain(const dialogue *d, const char *text, pf_tokens *ids, pf_error *error) {
    unsigned how = d->answered ? PF_ENCODE_CONTINUED : PF_ENCODE_BOS;
    pf_buffer all = {0};
    if (d->answered || !d->system)
        return pf_tokenizer_encode(d->loaded->tokenizer, text, strlen(text), how, ids, error);
    bool good = pf_buffer_put(&all, d->system, strlen(d->system), error) &&
                pf_buffer_put(&all, "\n\n", 2, error) &&
                pf_buffer_put(&all, text, strlen(text), error) &&
                pf_tokenizer_encode(d->loaded->tokenizer, all.bytes, all.n, how, ids, error);
    pf_free(all.bytes);
    return good;
}

/* The ids to read before the model answers. Earlier turns are already in the session, so one dummy
 * turn stands for all of them, and only what follows it is rendered. */
static bool render(const dialogue *d, const char *text, pf_tokens *ids, pf_error *error) {
    const pf_tokenizer *tokenizer = d->loaded->tokenizer;
    if (!d->has_template) return encode_plain(d, text, ids, error);
    pf_chat_message messages[4];
    size_t n = 0, known = 0, size = 0;
    char *rendered = NULL;
    if (d->system) messages[n++] = (pf_chat_message){"system", d->system};
    if (d->answered) {
        messages[n++] = (pf_chat_message){"user", "."};
        messages[n++] = (pf_chat_message){"assistant", "."};
        known = n;
    }
    messages[n++] = (pf_chat_message){"user", text};
    if (!pf_chat_render(&d->template, messages, n, known, &rendered, &size, error)) return false;
    unsigned how = pf_chat_encode_flags(&d->template, pf_tokenizer_vocabulary(tokenizer), known);
    if (known) how |= PF_ENCODE_CONTINUED;
    bool good = pf_tokenizer_encode(tokenizer, rendered, size, how, ids, error);
    pf_free(rendered);
    return good;
}

/* check_room, with a message that says what to do in a dialogue. */
static bool check_dialogue_room(const dialogue *d, size_t n, pf_error *error) {
    bool learned = d->loaded->model->position_embedding != NULL;
    if (check_room(d->session, n, error)) return true;
    size_t position = pf_session_position(d->session), room = pf_session_room(d->session);
    char other[ENDLESS_SIZE];
    if (learned)
        return pf_fail(error,
                       "the dialogue has %zu tokens, but the context is %zu; /reset starts over",
                       position + n, position + room);
    return pf_fail(error,
                   "the dialogue has %zu tokens, but the context is %zu; /attention %s has no "
                   "limit, /reset starts over",
                   position + n, position + room, endless_attention(d->loaded->model, true, other));
}

/* Reads ids in chunks, checking for Ctrl-C in between, and records them. Always reads at least one
 * chunk, so that a token the model has written is also read. */
static bool read_ids(dialogue *d, const int32_t *ids, size_t n, pf_error *error) {
    size_t chunk = pf_session_get_options(d->session)->chunk;
    for (size_t done = 0; done < n && (done == 0 || !terminal_interrupted());) {
        size_t part = n - done < chunk ? n - done : chunk;
        if (!pf_session_append(d->session, ids + done, part, d->logits, 1, error)) return false;
        for (size_t i = 0; i < part; i++)
            if (!pf_tokens_push(&d->read, ids[done + i], error)) return false;
        done += part;
    }
    return true;
}

/* Who hears an answer, and whether it goes on. */
typedef struct audience {
    dialogue_listener listener;
    void *context;
    bool leaves; /* wants to hear no more */
} audience;

/* Tells what can be told of d->piece [n], up to a stop text. */
static bool tell(dialogue *d, audience *to, size_t n, pf_error *error) {
    const char *told;
    size_t n_told;
    if (!pf_stop_texts_add(d->stops, d->piece, n, &told, &n_told, error)) return false;
    to->leaves = !to->listener(to->context, told, n_told) || d->stops->found;
    return true;
}

static bool tell_rest(dialogue *d, audience *to, pf_error *error) {
    const char *told;
    size_t n_told;
    if (to->leaves) return true;
    if (!tell(d, to, pf_decoder_finish(&d->decoder, d->piece), error)) return false;
    pf_stop_texts_end(d->stops, &told, &n_told);
    to->listener(to->context, told, n_told);
    return true;
}

/* Since `start`: the first token is there, or one more has been read. */
static void time_token(text_speed *written, double start) {
    double now = seconds_now();
    if (written->first_seconds > 0)
        written->decoded++;
    else
        written->first_seconds = now - start;
    written->decode_seconds = now - start - written->first_seconds;
}

static bool answer(dialogue *d, size_t most_tokens, double start, audience *to, pf_error *error) {
    const pf_tokenizer *tokenizer = d->loaded->tokenizer;
    d->written = (text_speed){.position = pf_session_position(d->session)};
    pf_stop_texts_again(d->stops);
    pf_sampler_forget(d->sampler);
    for (size_t i = 0; i < most_tokens && !to->leaves && !terminal_interrupted(); i++) {
        int32_t id = pf_sampler_next(d->sampler, d->logits);
        if (id < 0) return pf_fail(error, "the logits are no longer finite; /reset starts over");
        if (pf_tokenizer_is_end(tokenizer, id)) break;
        size_t n = pf_decoder_push(tokenizer, &d->decoder, id, d->piece);
        if (!tell(d, to, n, error)) return false;
        if (d->written.first_seconds == 0) time_token(&d->written, start);
        if (!check_dialogue_room(d, 1, error) || !read_ids(d, &id, 1, error)) return false;
        time_token(&d->written, start);
        pf_sampler_accept(d->sampler, id);
    }
    return tell_rest(d, to, error);
}

/* Remembers a turn that is about to begin, for dialogue_retry. */
static bool remember_turn(dialogue *d, const char *text, pf_error *error) {
    char *copy = pf_strndup(text, strlen(text), error);
    if (!copy) return false;
    pf_free(d->last.text);
    d->last.text = copy;
    d->last.n_read = d->read.count;
    d->last.answered = d->answered;
    return true;
}

bool dialogue_turn(dialogue *d, const char *text, size_t most_tokens, dialogue_listener listener,
                   void *context, pf_error *error) {
    double start = seconds_now();
    pf_tokens ids = {0};
    bool good = render(d, text, &ids, error) && check_dialogue_room(d, ids.count + 1, error);
    if (good && ids.count == 0)
        good = pf_fail(error, "there is nothing to continue from; say something");
    size_t before = d->read.count;
    good = good && remember_turn(d, text, error) && read_ids(d, ids.ids, ids.count, error);
    d->n_unread = good ? before + ids.count - d->read.count : 0;
    pf_tokens_free(&ids);
    if (!good) return false;
    d->answered = true;
    d->decoder = (pf_decoder){.started = !d->has_template};
    return answer(d, most_tokens, start, &(audience){listener, context, false}, error);
}

void dialogue_reset(dialogue *d) {
    pf_session_reset(d->session);
    d->read.count = 0;
    d->written = (text_speed){0};
    d->answered = false;
    d->whole = true;
    pf_free(d->last.text);
    d->last.text = NULL;
}

void dialogue_take_template(dialogue *d, dialogue *from) {
    pf_chat_template_free(&d->template);
    d->template = from->template;
    d->has_template = from->has_template;
    from->template = (pf_chat_template){0};
    from->has_template = false;
}

void dialogue_set_sampler(dialogue *d, pf_sampler *sampler) {
    pf_sampler_free(d->sampler);
    d->sampler = sampler;
}

/* Feeds the first n tokens read so far to another session. */
static bool read_again(const dialogue *d, pf_session *other, size_t n, pf_error *error) {
    size_t chunk = pf_session_get_options(other)->chunk;
    if (!check_room(other, n, error)) return false;
    for (size_t done = 0; done < n;) {
        size_t part = n - done < chunk ? n - done : chunk;
        bool last = done + part == n;
        if (terminal_interrupted()) return pf_fail(error, "interrupted; the dialogue is as it was");
        if (!pf_session_append(other, d->read.ids + done, part, d->logits, last, error))
            return false;
        done += part;
    }
    return true;
}

/* Replaces the session by another one that has read the first n tokens. */
static bool replace_session(dialogue *d, const pf_session_options *session, size_t n,
                            pf_error *error) {
    pf_session *other = pf_session_new(d->loaded->model, session, error);
    if (!other) return false;
    if (!read_again(d, other, n, error)) {
        pf_session_free(other);
        return false;
    }
    pf_session_free(d->session);
    d->session = other;
    d->written = (text_speed){0};
    return true;
}

bool dialogue_switch(dialogue *d, const pf_session_options *session, pf_error *error) {
    if (!d->whole)
        return pf_fail(error, "this dialogue began with a saved state, which another kind of "
                              "attention cannot read; /reset first");
    return replace_session(d, session, d->read.count, error);
}

bool dialogue_retry(dialogue *d, size_t most_tokens, dialogue_listener listener, void *context,
                    pf_error *error) {
    if (!d->last.text) return pf_fail(error, "there is no answer to try again yet");
    if (!d->whole)
        return pf_fail(error, "this dialogue began with a saved state, so it cannot go back; "
                              "/load reads that state again");
    pf_session_options session = *pf_session_get_options(d->session);
    char *text = pf_strndup(d->last.text, strlen(d->last.text), error);
    bool good = text && replace_session(d, &session, d->last.n_read, error);
    if (good) {
        d->read.count = d->last.n_read;
        d->answered = d->last.answered;
        good = dialogue_turn(d, text, most_tokens, listener, context, error);
    }
    pf_free(text);
    return good;
}

static saved_state state_of(const dialogue *d, pf_decoder *decoder) {
    return (saved_state){d->session, d->sampler, decoder, d->logits};
}

bool dialogue_save(const dialogue *d, const char *path, pf_error *error) {
    pf_decoder decoder = d->decoder;
    saved_state state = state_of(d, &decoder);
    return saved_state_save(&state, NULL, 0, path, error);
}

bool dialogue_load(dialogue *d, const char *path, bool keep_seed, pf_error *error) {
    pf_tokens pending = {0};
    saved_state state = state_of(d, &d->decoder);
    bool good = saved_state_load(&state, &pending, keep_seed, path, error) &&
                read_ids(d, pending.ids, pending.count, error);
    pf_tokens_free(&pending);
    d->answered = pf_session_position(d->session) > 0;
    d->whole = !d->answered;
    return good;
}
