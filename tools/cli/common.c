/* floor 5.3 - common: what several commands do: options -> attention and session, texts -> ids. */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include "snapshot.h"
#include "threads.h"
#include "vocabulary_meta.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

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

static uint32_t parse_redraw(const char *text) {
    uint64_t tokens = 0;
    if (strcmp(text, "sequence") == 0) return PF_REDRAW_SEQUENCE;
    return parse_count(text, &tokens) ? (uint32_t)tokens : PF_REDRAW_NEVER;
}

/* The choices of flags.c are the names of attention_options.h, so the parsers cannot fail. */
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
    if (parsed->given[FLAG_WINDOW]) attention->window = (uint32_t)parsed->values[FLAG_WINDOW].count;
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
                       "--context is %zu, but this model has learned positions for %u tokens and "
                       "none beyond; give at most --context %u",
                       session->context, model->context, model->context);
    if (session->attention.kind == PF_ATTENTION_SOFTMAX)
        note(parsed,
             "performer: warning: --context %zu is more than the %u tokens this model was "
             "trained for; what it says beyond them may be poor",
             session->context, model->context);
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
    return apply_context(parsed, model, session, error);
}

bool load_model(const options *parsed, pf_loaded *loaded, pf_error *error) {
    int n_threads = parsed->given[FLAG_THREADS] ? (int)parsed->values[FLAG_THREADS].count
                                                : pf_threads_default();
    return pf_loaded_open_checked(parsed->model, n_threads, loaded, error);
}

pf_tokenizer *tokenizer_from_checkpoint(const pf_checkpoint *checkpoint, pf_error *error) {
    pf_vocabulary vocabulary = {0};
    pf_vocabulary_storage storage = {0};
    pf_tokenizer *tokenizer = NULL;
    const char *path = pf_checkpoint_path(checkpoint);
    if (pf_vocabulary_from_checkpoint(checkpoint, &vocabulary, &storage, error)) {
        if (vocabulary.n_pieces)
            tokenizer = pf_tokenizer_new(&vocabulary, error);
        else
            pf_fail(error, "%s has no tokenizer; convert it with --tokenizer FILE", path);
    }
    if (!tokenizer && strncmp(error->message, path, strlen(path)) != 0)
        pf_fail(error, "%s: %s", path, error->message);
    pf_vocabulary_storage_free(&storage);
    return tokenizer;
}

bool check_room(const pf_session *session, size_t n, pf_error *error) {
    size_t room = pf_session_room(session);
    if (n <= room) return true;
    const pf_model *model = pf_session_model(session);
    size_t total = pf_session_position(session) + n;
    if (model->position_embedding && total > model->context)
        return pf_fail(error,
                       "the text has %zu tokens, but the context is %zu; shorten it (this "
                       "model has learned positions for %u tokens)",
                       total, pf_session_position(session) + room, model->context);
    return pf_fail(error,
                   "the text has %zu tokens, but the context is %zu; give --context %zu, or "
                   "--attention favor, which has no limit",
                   total, pf_session_position(session) + room, total);
}

const char *human_bytes(uint64_t bytes, char *text) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1000 && unit < 4; unit++) value /= 1000;
    snprintf(text, 16, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

uint64_t peak_rss_bytes(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)usage.ru_maxrss * 1024; /* Linux counts in kB */
}

uint64_t current_rss_bytes(void) {
    unsigned long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
