/* floor 2.4 - pf_session: one text being computed. All that changes lives here. */
#include "session.h"

#include "forward.h"
#include "memory.h"

#include <string.h>

/* A team meets some five times per layer. Two million multiplications take a tenth of a millisecond:
 * below, meetings cost more than they bring, and far more where others use the machine. */
enum { TEAM_WORK = 2000000 };

pf_session_options pf_session_options_default(const pf_model *model) {
    return (pf_session_options){.attention = model->attention,
                                .context = model->context,
                                .n_threads = pf_threads_default(),
                                .team_work = TEAM_WORK,
                                .chunk = 256};
}

/* The checkpoint's sizes per head hold as long as nobody asks for others. Whoever gives a context beyond
 * the trained one trusts the positions that far, sinks included. Fitted features may read q and k
 * before RoPE; the estimators of softmax, which a fitted file can still run, read what softmax reads. */
static pf_attention_shape shape_of(const pf_model *model, const pf_attention_options *options,
                                   size_t context, const pf_favor_weights *favor) {
    bool fitted = model->attention.map == PF_MAP_NORMALIZED;
    bool other_map = fitted && options->map != PF_MAP_NORMALIZED;
    bool same_window = options->window == model->attention.window && !options->uncalibrated;
    bool same_features = options->features == model->attention.features && !options->uncalibrated;
    return (pf_attention_shape){.n_layers = model->n_layers,
                                .n_heads = model->n_heads,
                                .n_kv_heads = model->n_kv_heads,
                                .head_dim = model->head_dim,
                                .trained_context =
                                    context > model->context ? (uint32_t)context : model->context,
                                .scale = model->attention_scale,
                                .position = model->position,
                                .rope_dim = model->rope_dim,
                                .rope_base = model->rope_base,
                                .rope_factors = model->rope_factors,
                                .tail_rope = model->tail_rope || options->uncalibrated || other_map,
                                .windows = same_window ? model->windows : NULL,
                                .head_features = same_features ? model->head_features : NULL,
                                .favor = favor};
}

/* A fitted map serves the sizes that it was fitted for; others fall back to the closed-form
 * calibration with features drawn anew (DESIGN.md). */
static pf_attention_options resolve(const pf_model *model, pf_attention_options options) {
    bool fitted = options.map == PF_MAP_NORMALIZED && model->attention.map == PF_MAP_NORMALIZED;
    if (fitted && (options.features != model->attention.features || options.uncalibrated ||
                   options.redraw != PF_REDRAW_NEVER))
        options.map = options.uncalibrated ? PF_MAP_POSITIVE : PF_MAP_FAVOR_PP;
    return options;
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

/* The layers' favor tensors side by side; they must outlive the attention made from them. Whoever asks
 * for another seed or kind of projection than the checkpoint's wants features drawn anew. */
static pf_favor_weights *gather_favor(const pf_model *model, const pf_attention_options *options,
                                      pf_error *error) {
    bool drawn = options->seed != model->attention.seed ||
                 options->projection != model->attention.projection;
    pf_favor_weights *favor =
        pf_calloc(model->n_layers, sizeof *favor, "the attention state", error);
    for (size_t i = 0; favor && i < model->n_layers; i++) {
        favor[i] = model->layers[i].favor;
        if (drawn) favor[i].projection = NULL;
    }
    return favor;
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
    s->options.attention = resolve(model, options->attention);
    s->chunk = options->chunk;
    s->weights = pf_model_parameters(model);
    s->favor = gather_favor(model, &s->options.attention, error);
    s->workspaces =
        pf_calloc((size_t)options->n_threads, sizeof *s->workspaces, "working memory", error);
    if (!s->favor || !s->workspaces || !allocate_activations(s, error)) goto fail;
    s->team = pf_team_new(options->n_threads, error);
    if (!s->team) goto fail;
    for (int i = 0; i < options->n_threads; i++)
        if (!allocate_workspace(s, &s->workspaces[i], error)) goto fail;
    pf_attention_shape shape = shape_of(model, &s->options.attention, options->context, s->favor);
    s->attention = pf_attention_new(&shape, &s->options.attention, options->context, s->chunk,
                                    options->n_threads, error);
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
    pf_free(s->favor);
    pf_free(s);
}

size_t pf_session_room(const pf_session *s) {
    bool limited =
        s->options.attention.kind == PF_ATTENTION_SOFTMAX || s->model->position_embedding != NULL;
    return limited ? s->options.context - s->position : SIZE_MAX;
}

static bool check_tokens(const pf_session *s, const int32_t *tokens, size_t n, size_t n_logits,
                         pf_error *error) {
    if (n_logits > n)
        return pf_fail(error, "logits of %zu tokens asked for, but only %zu are new", n_logits, n);
    if (n > pf_session_room(s))
        return pf_fail(
            error,
            "the text needs %zu tokens, but the context holds %zu; shorten it, or give a "
            "larger --context",
            s->position + n, s->options.context);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= s->model->n_vocab)
            return pf_fail(error,
                           "token id %d at place %zu is outside the model's vocabulary of %u",
                           tokens[i], i, s->model->n_vocab);
    return true;
}

static void run(pf_session *s, size_t n) {
    if (s->weights * n < s->options.team_work)
        pf_parallel(1, pf_forward, s);
    else
        pf_team_run(s->team, pf_forward, s);
}

bool pf_session_append(pf_session *s, const int32_t *tokens, size_t n, float *logits,
                       size_t n_logits, pf_error *error) {
    if (!check_tokens(s, tokens, n, n_logits, error)) return false;
    for (size_t done = 0; done < n; done += s->n) {
        s->tokens = tokens + done;
        s->n = n - done < s->chunk ? n - done : s->chunk;
        /* of this chunk, the rows whose logits are wanted: those at or behind n - n_logits */
        size_t end = done + s->n, skipped = n - n_logits;
        s->n_logits = end > skipped ? (end - skipped < s->n ? end - skipped : s->n) : 0;
        s->logits =
            s->n_logits > 0 ? logits + (end - s->n_logits - skipped) * s->model->n_vocab : NULL;
        if (!pf_attention_begin(s->attention, s->position, s->n, error)) return false;
        run(s, s->n);
        s->position += s->n;
    }
    return true;
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
    pf_attention_options attention = resolve(model, options->attention);
    pf_favor_weights *favor = gather_favor(model, &attention, NULL);
    if (!favor) return 0;
    pf_attention_shape shape = shape_of(model, &attention, options->context, favor);
    size_t bytes = pf_attention_planned_bytes(&shape, &attention, options->context);
    pf_free(favor);
    return bytes;
}

pf_session_stats pf_session_get_stats(const pf_session *s) {
    return (pf_session_stats){.bad_denominators = pf_attention_bad_denominators(s->attention),
                              .redraws = pf_attention_redraws(s->attention)};
}

void pf_session_set_tap(pf_session *s, pf_tap tap, void *context) {
    s->tap = tap;
    s->tap_context = context;
}
