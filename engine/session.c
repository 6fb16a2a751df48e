/* floor 2.2 - pf_session: one text being computed. All that changes lives here. */
#include "session.h"

#include "memory.h"
#include "session_state.h"

#include <string.h>

/* A team waits at about five barriers per layer. Two million multiplications take a tenth of a
 * millisecond: for less work the barriers cost more than the team saves, and far more on a machine
 * that is busy with other things. */
enum { TEAM_WORK = 2000000 };

pf_session_options pf_session_options_default(const pf_model *model) {
    return (pf_session_options){.attention = model->attention,
                                .context = model->context,
                                .n_threads = pf_threads_default(),
                                .team_work = TEAM_WORK,
                                .chunk = 256};
}

static bool check(const pf_model *model, const pf_session_options *options, pf_error *error) {
    if (options->n_threads < 1 || options->n_threads > 1024)
        return pf_fail(error, "%d threads: choose 1 to 1024 with --threads", options->n_threads);
    if (options->chunk < 1) return pf_fail(error, "a prefill chunk of 0 tokens: choose at least 1");
    if (options->context < 1)
        return pf_fail(error, "a context of 0 tokens: choose at least 1 with --context");
    if (model->position_embedding && options->context > model->context)
        return pf_fail(error,
                       "a context of %zu tokens, but this model has positions for %u only; "
                       "choose --context %u or less",
                       options->context, model->context, model->context);
    return true;
}

static size_t largest_width(const pf_model *model) {
    size_t HD = (size_t)model->n_heads * model->head_dim, widest = model->width;
    if (model->hidden > widest) widest = model->hidden;
    return HD > widest ? HD : widest;
}

static bool allocate_activations(pf_session *s, pf_error *error) {
    const pf_model *model = s->model;
    size_t C = model->width, F = model->hidden, HD = (size_t)model->n_heads * model->head_dim;
    size_t kvD = (size_t)model->n_kv_heads * model->head_dim, chunk = s->chunk;
    struct {
        float **rows;
        size_t width;
    } arrays[] = {{&s->x, C},   {&s->normed, C}, {&s->q, HD}, {&s->heads, HD}, {&s->k, kvD},
                  {&s->v, kvD}, {&s->gate, F},   {&s->up, F}, {&s->delta, C}};
    size_t floats = 0, count = sizeof arrays / sizeof arrays[0];
    for (size_t i = 0; i < count; i++) floats += (arrays[i].width + 15) / 16 * 16;
    s->activations =
        pf_calloc(floats, chunk * sizeof(float), "activations (smaller --chunk helps)", error);
    if (!s->activations) return false;
    float *next = s->activations;
    for (size_t i = 0; i < count; i++) {
        *arrays[i].rows = next;
        next += (arrays[i].width + 15) / 16 * 16 * chunk;
    }
    return true;
}

static bool allocate_workspace(pf_session *s, pf_workspace *w, pf_error *error) {
    size_t widest = (largest_width(s->model) + 31) / 32 * 32, C = (s->model->width + 15) / 16 * 16;
    size_t panel = pf_matmul_panel_floats(widest), blocks = widest / 32;
    w->memory = pf_calloc(C + panel + widest / 4 + 2 * (blocks + 16), sizeof(float),
                          "working memory", error);
    if (!w->memory) return false;
    w->normed = w->memory;
    w->matmul.panel = w->normed + C;
    if (s->options.float_activations) return true;
    w->matmul.activation.q = (int8_t *)(void *)(w->matmul.panel + panel);
    w->matmul.activation.scale = w->matmul.panel + panel + widest / 4;
    w->matmul.activation.sum = w->matmul.activation.scale + blocks + 16;
    return true;
}

pf_session *pf_session_new(const pf_model *model, const pf_session_options *options,
                           pf_error *error) {
    if (!check(model, options, error)) return NULL;
    pf_session *s = pf_calloc(1, sizeof *s, "a session", error);
    if (!s) return NULL;
    s->model = model;
    s->options = *options;
    pf_attention_config config =
        pf_attention_configure(model, options->attention, options->context);
    s->options.attention = config.options;
    s->chunk = options->chunk;
    s->weights = pf_model_parameters(model);
    s->workspaces =
        pf_calloc((size_t)options->n_threads, sizeof *s->workspaces, "working memory", error);
    if (!s->workspaces || !allocate_activations(s, error)) goto fail;
    s->team = pf_team_new(options->n_threads, error);
    if (!s->team) goto fail;
    for (int i = 0; i < options->n_threads; i++)
        if (!allocate_workspace(s, &s->workspaces[i], error)) goto fail;
    s->attention = pf_attention_new(&config, s->chunk, options->n_threads, error);
    if (!s->attention) goto fail;
    return s;
fail:
    pf_session_free(s);
    return NULL;
}

void pf_session_free(pf_session *s) {
    if (!s) return;
    pf_team_free(s->team);
    pf_attention_free(s->attention);
    for (int i = 0; s->workspaces && i < s->options.n_threads; i++)
        pf_free(s->workspaces[i].memory);
    pf_free(s->workspaces);
    pf_free(s->activations);
    pf_free(s);
}

size_t pf_session_room(const pf_session *s) {
    bool limited =
        s->options.attention.kind == PF_ATTENTION_SOFTMAX || s->model->position_embedding != NULL;
    return limited ? s->options.context - s->position : SIZE_MAX;
}

void pf_session_reset(pf_session *s) {
    pf_attention_reset(s->attention);
    s->position = 0;
}

pf_session *pf_session_clone(const pf_session *s, pf_error *error) {
    pf_session *clone = pf_session_new(s->model, &s->options, error);
    if (!clone) return NULL;
    if (!pf_attention_copy(clone->attention, s->attention, s->position, error)) {
        pf_session_free(clone);
        return NULL;
    }
    clone->position = s->position;
    return clone;
}

size_t pf_session_position(const pf_session *s) { return s->position; }
const pf_session_options *pf_session_get_options(const pf_session *s) { return &s->options; }
const pf_model *pf_session_model(const pf_session *s) { return s->model; }
size_t pf_session_state_bytes(const pf_session *s) {
    return pf_attention_state_bytes(s->attention);
}

size_t pf_state_bytes(const pf_model *model, const pf_session_options *options) {
    pf_attention_config config =
        pf_attention_configure(model, options->attention, options->context);
    return pf_attention_planned_bytes(&config);
}

pf_session_stats pf_session_get_stats(const pf_session *s) {
    return (pf_session_stats){.bad_denominators = pf_attention_bad_denominators(s->attention),
                              .redraws = pf_attention_redraws(s->attention)};
}

void pf_session_set_tap(pf_session *s, pf_tap tap, void *context) {
    s->tap = tap;
    s->tap_context = context;
}
