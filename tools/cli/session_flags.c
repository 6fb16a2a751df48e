/* floor 5.3 - session flags: what the command line says about attention and the session. */
#include "session_flags.h"

#include "kv_cache.h"
#include "resources.h"
#include "snapshot.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

static const flag_id attention_flags[] = {
    FLAG_ATTENTION, FLAG_FEATURES,       FLAG_MAP,          FLAG_PROJECTION,
    FLAG_REDRAW,    FLAG_WINDOW,         FLAG_SINKS,        FLAG_FORGET,
    FLAG_EPSILON,   FLAG_ATTENTION_SEED, FLAG_UNCALIBRATED,
};
enum { ATTENTION_FLAGS = sizeof attention_flags / sizeof attention_flags[0] };

bool attention_is_given(const options *parsed) {
    for (int i = 0; i < ATTENTION_FLAGS; i++)
        if (parsed->given[attention_flags[i]]) return true;
    return false;
}

static uint32_t parse_window(const char *text) {
    uint64_t tokens;
    return parse_count(text, &tokens) ? (uint32_t)tokens : PF_WINDOW_ALL;
}

static uint32_t parse_redraw(const char *text) {
    uint64_t tokens = 0;
    if (strcmp(text, "sequence") == 0) return PF_REDRAW_SEQUENCE;
    return parse_count(text, &tokens) ? (uint32_t)tokens : PF_REDRAW_NEVER;
}

/* The choices in flags.c are the names in attention_options.h, so the parsers cannot fail. */
static void apply_names(const options *parsed, pf_attention_options *attention) {
    if (parsed->given[FLAG_ATTENTION])
        pf_attention_parse(parsed->values[FLAG_ATTENTION].text, &attention->kind);
    if (parsed->given[FLAG_MAP]) pf_map_parse(parsed->values[FLAG_MAP].text, &attention->map);
    if (parsed->given[FLAG_PROJECTION])
        pf_projection_parse(parsed->values[FLAG_PROJECTION].text, &attention->projection);
    if (parsed->given[FLAG_REDRAW])
        attention->redraw = parse_redraw(parsed->values[FLAG_REDRAW].text);
}

static void note_idle_flags(const options *parsed, pf_attention_kind kind) {
    if (kind == PF_ATTENTION_FAVOR) return;
    for (int i = 1; i < ATTENTION_FLAGS; i++) {
        flag_id id = attention_flags[i];
        bool exact = id == FLAG_WINDOW || id == FLAG_SINKS;
        if (parsed->given[id] && !(exact && kind == PF_ATTENTION_LOCAL))
            note(parsed, "performer: --%s has no effect under %s attention; add --attention favor",
                 flags[id].name, pf_attention_name(kind));
    }
}

void attention_apply(const options *parsed, pf_attention_options *attention) {
    apply_names(parsed, attention);
    if (parsed->given[FLAG_FEATURES])
        attention->features = (uint32_t)parsed->values[FLAG_FEATURES].count;
    if (parsed->given[FLAG_WINDOW])
        attention->window = parse_window(parsed->values[FLAG_WINDOW].text);
    if (parsed->given[FLAG_SINKS]) attention->sinks = (uint32_t)parsed->values[FLAG_SINKS].count;
    if (parsed->given[FLAG_FORGET]) attention->forget = (uint32_t)parsed->values[FLAG_FORGET].count;
    if (parsed->given[FLAG_KV]) pf_kv_parse(parsed->values[FLAG_KV].text, &attention->kv);
    if (parsed->given[FLAG_EPSILON])
        attention->epsilon = (float)parsed->values[FLAG_EPSILON].number;
    if (parsed->given[FLAG_ATTENTION_SEED])
        attention->seed = parsed->values[FLAG_ATTENTION_SEED].count;
    if (parsed->given[FLAG_UNCALIBRATED]) attention->uncalibrated = true;
    if (parsed->command & FOR_SESSIONS) note_idle_flags(parsed, attention->kind);
}

static bool apply_context(const options *parsed, const pf_model *model, pf_session_options *session,
                          pf_error *error) {
    if (!parsed->given[FLAG_CONTEXT]) return true;
    session->context = (size_t)parsed->values[FLAG_CONTEXT].count;
    if (session->context <= model->context) return true;
    if (model->position_embedding)
        return pf_fail(error,
                       "--context is %zu, but this model has learned positions for only %u tokens; "
                       "give at most --context %u",
                       session->context, model->context, model->context);
    return true;
}

bool session_options_from(const options *parsed, const pf_model *model, pf_session_options *session,
                          pf_error *error) {
    *session = pf_session_options_default(model);
    if (parsed->given[FLAG_LOAD_STATE] &&
        !pf_snapshot_attention(parsed->values[FLAG_LOAD_STATE].text, &session->attention, error))
        return false;
    attention_apply(parsed, &session->attention);
    if (parsed->given[FLAG_THREADS]) session->n_threads = (int)parsed->values[FLAG_THREADS].count;
    session->float_activations = parsed->given[FLAG_FLOAT_ACTIVATIONS];
    return apply_context(parsed, model, session, error) &&
           pf_kv_check(session->attention.kv, model->head_dim, error);
}

/* ---- the state ---- */

size_t state_in_use(const pf_session *session) {
    pf_session_options like = *pf_session_get_options(session);
    size_t n = pf_session_position(session), all = pf_session_state_bytes(session);
    if (n >= like.context) return all;
    like.context = n > 0 ? n : 1;
    size_t used = pf_state_bytes(pf_session_model(session), &like);
    return used < all ? used : all;
}

const char *state_text(const pf_session *session, char *text) {
    char used[16], all[16];
    size_t n = state_in_use(session);
    bool partly = n < pf_session_state_bytes(session);
    snprintf(text, STATE_TEXT, "state %s%s%s", human_bytes(n, used), partly ? " of " : "",
             partly ? human_bytes(pf_session_state_bytes(session), all) : "");
    return text;
}

/* ---- beyond what the model knows ---- */

/* Trained with random features, or calibrated for them. */
static bool knows_favor(const pf_model *model) {
    return model->attention.kind == PF_ATTENTION_FAVOR || model->layers[0].favor.q_center;
}

const char *endless_attention(const pf_model *model, bool as_setting, char *text) {
    enum { MOST = 1024 };
    unsigned window = model->context < 2 * MOST ? (model->context + 1) / 2 : MOST;
    const char *format =
        as_setting ? "local,window=%u,sinks=4" : "--attention local --window %u --sinks 4";
    bool own = model->attention.kind == PF_ATTENTION_LOCAL;
    if (own || knows_favor(model))
        snprintf(text, ENDLESS_SIZE, "%s%s", as_setting ? "" : "--attention ",
                 own ? "local" : "favor");
    else
        snprintf(text, ENDLESS_SIZE, format, window);
    return text;
}

/* The longest window of a calibrated model's heads. */
static size_t longest_window(const pf_model *model) {
    size_t longest = 0, n = (size_t)model->n_layers * model->n_kv_heads;
    for (size_t i = 0; i < n; i++)
        if (model->windows[i] > longest) longest = model->windows[i];
    return longest;
}

void tell_reach(const options *parsed, const pf_session *session, bool *told) {
    const pf_model *model = pf_session_model(session);
    const pf_attention_options *attention = &pf_session_get_options(session)->attention;
    if (*told || attention->kind == PF_ATTENTION_SOFTMAX || !model->windows ||
        attention->window != model->attention.window || attention->uncalibrated)
        return;
    size_t reach = longest_window(model);
    if (pf_session_position(session) <= reach) return;
    *told = true;
    note(parsed,
         "performer: the text is longer than %zu tokens, which is as far back as this state is "
         "exact; what came before is remembered in outline only",
         reach);
}

void warn_of_favor(const options *parsed, const pf_model *model,
                   const pf_session_options *session) {
    char other[ENDLESS_SIZE];
    bool chat = parsed->command == FOR_CHAT;
    if (session->attention.kind != PF_ATTENTION_FAVOR || knows_favor(model) ||
        session->attention.window == PF_WINDOW_ALL || parsed->given[FLAG_LOAD_STATE])
        return;
    note(parsed,
         "performer: warning: %s does not say that it was trained or calibrated for favor "
         "attention, which ruins the text of other models; run `performer calibrate` on it, or "
         "give %s%s",
         parsed->model, chat ? "/attention " : "", endless_attention(model, chat, other));
}

void warn_beyond_training(const options *parsed, const pf_model *model,
                          const pf_session_options *session, size_t n) {
    bool softmax = session->attention.kind == PF_ATTENTION_SOFTMAX;
    if (!softmax && session->attention.window != PF_WINDOW_ALL) return;
    if (model->position_embedding) return; /* such a text is refused */
    bool is_long = pf_model_is_long(model, session->context);
    uint32_t trained = is_long ? model->long_context : model->context;
    if (n > trained && n <= model->long_context)
        note(parsed,
             "performer: warning: the text has %zu tokens, but without --context %zu or more this "
             "model reads no more than %u as it was trained to",
             n, n, trained);
    else if (n > trained)
        note(parsed,
             "performer: warning: the text has %zu tokens, but this model was trained for %u; "
             "what %s attention makes of the text beyond them may be poor",
             n, trained, softmax ? "softmax" : "exact");
    else if (softmax && parsed->given[FLAG_CONTEXT] && session->context > trained)
        note(parsed,
             "performer: warning: --context %zu is more than the %u tokens this model was "
             "trained for; the text beyond them may be poor",
             session->context, trained);
}

void warn_of_lost_bytes(const options *parsed, size_t lost) {
    if (lost > 0)
        note(parsed,
             "performer: warning: the vocabulary of %s has no token for %zu of the text's bytes; "
             "they are left out",
             parsed->model, lost);
}

bool check_room(const pf_session *session, size_t n, pf_error *error) {
    return n <= pf_session_room(session) || fail_no_room(session, n, error);
}

bool fail_no_room(const pf_session *session, size_t n, pf_error *error) {
    const pf_model *model = pf_session_model(session);
    size_t total = pf_session_position(session) + n;
    size_t context = pf_session_get_options(session)->context;
    char other[ENDLESS_SIZE], trained[64] = "";
    if (model->position_embedding && total > model->context)
        return pf_fail(error,
                       "the text has %zu tokens, but the context is %zu; shorten it (this "
                       "model has learned positions for only %u tokens)",
                       total, context, model->context);
    if (total > pf_model_trained(model))
        snprintf(trained, sizeof trained, " (the model was trained for %u)",
                 pf_model_trained(model));
    return pf_fail(error,
                   "the text has %zu tokens, but the context is %zu; give --context %zu%s, or %s, "
                   "which has no limit",
                   total, context, total, trained, endless_attention(model, false, other));
}
