/* floor 2.2 - pf_session: one text being computed. All that changes lives here. */
#include "session.h"

#include "carve.h"
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

/* Lays out the activations of one chunk; memory NULL only counts their floats. */
static size_t lay_out_activations(pf_session *s, float *memory) {
    const pf_model *model = s->model;
    size_t C = model->width, F = model->hidden, HD = (size_t)model->n_heads * model->head_dim;
    size_t kvD = (size_t)model->n_kv_heads * model->head_dim, chunk = s->chunk;
    pf_carve carve = {.memory = memory};
    s->x = pf_carve_floats(&carve, chunk * C);
    s->normed = pf_carve_floats(&carve, chunk * C);
    s->q = pf_carve_floats(&carve, chunk * HD);
    s->heads = pf_carve_floats(&carve, chunk * HD);
    s->k = pf_carve_floats(&carve, chunk * kvD);
    s->v = pf_carve_floats(&carve, chunk * kvD);
    s->gate = pf_carve_floats(&carve, chunk * F);
    s->up = pf_carve_floats(&carve, chunk * F);
    s->delta = pf_carve_floats(&carve, chunk * C);
    return carve.used;
}

static bool allocate_activations(pf_session *s, pf_error *error) {
    size_t floats = lay_out_activations(s, NULL);
    s->activations = pf_calloc(floats, sizeof(float), "activations (smaller --chunk helps)", error);
    if (s->activations) lay_out_activations(s, s->activations);
    return s->activations != NULL;
}

/* One member's working memory; memory NULL only counts its floats. */
static size_t lay_out_workspace(const pf_session *s, pf_workspace *w, float *memory) {
    size_t widest = (largest_width(s->model) + 31) / 32 * 32, blocks = widest / 32;
    pf_carve carve = {.memory = memory};
    w->normed = pf_carve_floats(&carve, s->model->width);
    w->matmul.panel = pf_carve_floats(&carve, pf_matmul_panel_floats(widest));
    if (s->options.float_activations) return carve.used;
    w->matmul.activation.q = (int8_t *)(void *)pf_carve_floats(&carve, widest / 4);
    w->matmul.activation.scale = pf_carve_floats(&carve, blocks + 16);
    w->matmul.activation.sum = pf_carve_floats(&carve, blocks + 16);
    return carve.used;
}

static bool allocate_workspace(pf_session *s, pf_workspace *w, pf_error *error) {
    w->memory = pf_calloc(lay_out_workspace(s, w, NULL), sizeof(float), "working memory", error);
    if (w->memory) lay_out_workspace(s, w, w->memory);
    return w->memory != NULL;
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
    return pf_attention_state_bytes(s->attention, s->position);
}

size_t pf_state_bytes(const pf_model *model, const pf_session_options *options) {
    pf_attention_config config =
        pf_attention_configure(model, options->attention, options->context);
    pf_attention_bytes bytes = pf_attention_planned_bytes(&config);
    return bytes.constant + bytes.per_token * options->context;
}

size_t pf_state_bytes_per_token(const pf_model *model, const pf_session_options *options) {
    pf_attention_config config =
        pf_attention_configure(model, options->attention, options->context);
    return pf_attention_planned_bytes(&config).per_token;
}

pf_session_stats pf_session_get_stats(const pf_session *s) {
    return (pf_session_stats){.bad_denominators = pf_attention_bad_denominators(s->attention),
                              .redraws = pf_attention_redraws(s->attention)};
}

void pf_session_set_tap(pf_session *s, pf_tap tap, void *context) {
    s->tap = tap;
    s->tap_context = context;
}
