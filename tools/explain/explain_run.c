/* floor 5.5 - walk: one text through one model, and all that `explain` shows of one of its heads. */
#include "explain_run.h"

#include "memory.h"

#include <math.h>
#include <string.h>

static bool check(const walk *w, pf_error *error) {
    const pf_model *model = w->model;
    const walk_settings *s = &w->settings;
    if (s->layer >= model->n_layers)
        return pf_fail(error, "--layer %u is none: this model has %u layers, 0 to %u", s->layer,
                       model->n_layers, model->n_layers - 1);
    if (s->head >= model->n_heads)
        return pf_fail(error, "--head %u is none: this model has %u heads, 0 to %u", s->head,
                       model->n_heads, model->n_heads - 1);
    if (w->T < 2)
        return pf_fail(error,
                       "the text has %zu %s, and a token alone attends to nothing but itself; "
                       "give a longer one with -p",
                       w->T, w->T == 1 ? "token" : "tokens");
    if (w->T > WALK_MAX_TOKENS)
        return pf_fail(error,
                       "the text has %zu tokens; explain shows texts of up to %d, give a shorter "
                       "one",
                       w->T, WALK_MAX_TOKENS);
    if (model->position == PF_POSITION_LEARNED && w->T > model->context)
        return pf_fail(error, "the text has %zu tokens, but this model has positions for %u only",
                       w->T, model->context);
    return true;
}

static bool allocate(walk *w, pf_error *error) {
    const pf_model *m = w->model;
    size_t C = m->width, T = w->T, HD = (size_t)m->n_heads * m->head_dim;
    size_t kvD = (size_t)m->n_kv_heads * m->head_dim, floats = 0;
    struct {
        float **array;
        size_t n;
    } arrays[] = {{&w->embedding, C},
                  {&w->attention_norm, C},
                  {&w->attention_output, C},
                  {&w->attention_residual, C},
                  {&w->mlp_output, C},
                  {&w->layer_output, C},
                  {&w->final_norm, C},
                  {&w->q, T * HD},
                  {&w->k, T * kvD},
                  {&w->v, T * kvD},
                  {&w->heads, T * HD},
                  {&w->softmax.weights, T},
                  {&w->favor.weights, T},
                  {&w->softmax.logits, m->n_vocab},
                  {&w->favor.logits, m->n_vocab}};
    size_t count = sizeof arrays / sizeof arrays[0];
    for (size_t i = 0; i < count; i++) floats += arrays[i].n;
    w->memory = pf_calloc(floats, sizeof(float), "the walk", error);
    w->lengths = pf_calloc((size_t)m->n_layers + 1, sizeof *w->lengths, "the walk", error);
    if (!w->memory || !w->lengths) return false;
    float *next = w->memory;
    for (size_t i = 0; i < count; i++) {
        *arrays[i].array = next;
        next += arrays[i].n;
    }
    return true;
}

static double length_of(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Where all rows of a point go, or where the last token's row goes. */
static float *all_rows(walk *w, pf_tap_point point) {
    switch (point) {
    case PF_TAP_Q:
        return w->q;
    case PF_TAP_K:
        return w->k;
    case PF_TAP_V:
        return w->v;
    case PF_TAP_ATTENTION_HEADS:
        return w->heads;
    default:
        return NULL;
    }
}

static float *last_row(walk *w, pf_tap_point point) {
    switch (point) {
    case PF_TAP_EMBEDDING:
        return w->embedding;
    case PF_TAP_ATTENTION_NORM:
        return w->attention_norm;
    case PF_TAP_ATTENTION_OUTPUT:
        return w->attention_output;
    case PF_TAP_ATTENTION_RESIDUAL:
        return w->attention_residual;
    case PF_TAP_MLP_OUTPUT:
        return w->mlp_output;
    case PF_TAP_LAYER:
        return w->layer_output;
    case PF_TAP_FINAL_NORM:
        return w->final_norm;
    default:
        return NULL;
    }
}

static void keep(void *context, pf_tap_point point, uint32_t layer, size_t first, const float *rows,
                 size_t n_rows, size_t n_cols) {
    walk *w = context;
    const float *last = rows + (n_rows - 1) * n_cols;
    bool ends = point == PF_TAP_FINAL_NORM || first + n_rows == w->T;
    if (ends && point == PF_TAP_EMBEDDING) w->lengths[0] = length_of(last, n_cols);
    if (ends && point == PF_TAP_LAYER) w->lengths[layer + 1] = length_of(last, n_cols);
    bool anywhere = point == PF_TAP_EMBEDDING || point == PF_TAP_FINAL_NORM;
    if (layer != w->settings.layer && !anywhere) return;
    float *all = all_rows(w, point), *row = last_row(w, point);
    if (all) memcpy(all + first * n_cols, rows, n_rows * n_cols * sizeof *rows);
    if (row && ends) memcpy(row, last, n_cols * sizeof *row);
}

/* The text through the whole model under one attention. */
static bool read_text(walk *w, walk_side *side, const pf_session_options *options,
                      pf_error *error) {
    side->session = pf_session_new(w->model, options, error);
    if (!side->session) return false;
    if (side == w->leads) pf_session_set_tap(side->session, keep, w);
    bool good = pf_session_append(side->session, w->ids, w->T, side->logits, 1, error);
    pf_session_set_tap(side->session, NULL, NULL);
    side->bad_denominators = pf_session_get_stats(side->session).bad_denominators;
    for (size_t i = 0; good && i < w->model->n_vocab; i++)
        if (!isfinite(side->logits[i]))
            return pf_fail(error, "the logits under %s are no numbers",
                           pf_attention_name(options->attention.kind));
    if (good) side->next = predict(side->logits, w->model->n_vocab, NULL);
    return good;
}

/* The layer's attention on the leading session's queries, keys and values. */
static bool attend(walk *w, walk_side *side, pf_error *error) {
    const pf_model *m = w->model;
    size_t T = w->T;
    uint32_t head = w->settings.head;
    if (!head_trace_new(&side->trace, side->session, w->settings.layer, head, w->q, w->k, w->v, T,
                        error))
        return false;
    side->out = side->trace.out + (w->last * m->n_heads + head) * m->head_dim;
    float *weights = pf_calloc(m->n_heads * T, T * sizeof *weights, "attention weights", error);
    bool good = weights && pf_attention_weights(side->session, w->settings.layer, w->q, w->k, T,
                                                weights, error);
    if (good) memcpy(side->weights, weights + (head * T + w->last) * T, T * sizeof *weights);
    pf_free(weights);
    return good;
}

/* KL(softmax || favor) of what the two sessions expect next. */
static bool measure_divergence(walk *w, pf_error *error) {
    size_t V = w->model->n_vocab;
    float *weights = pf_calloc(V, sizeof *weights, "the walk", error);
    if (!weights) return false;
    prediction p = predict(w->softmax.logits, V, weights);
    w->kl =
        diverge(&p, w->softmax.logits, weights, &w->favor.next, w->favor.logits, V, p.best[0]).kl;
    pf_free(weights);
    return true;
}

bool walk_new(walk *w, const pf_loaded *loaded, const int32_t *ids, size_t T,
              const walk_settings *settings, pf_error *error) {
    *w = (walk){.settings = *settings,
                .loaded = loaded,
                .model = loaded->model,
                .ids = ids,
                .T = T,
                .last = T - 1};
    w->leads = settings->favor_leads ? &w->favor : &w->softmax;
    if (!check(w, error) || !allocate(w, error) ||
        !read_text(w, &w->softmax, &settings->softmax, error) ||
        !read_text(w, &w->favor, &settings->favor, error) || !attend(w, &w->softmax, error) ||
        !attend(w, &w->favor, error))
        return false;
    return measure_divergence(w, error);
}

static void free_side(walk_side *side) {
    head_trace_free(&side->trace);
    pf_session_free(side->session);
}

void walk_free(walk *w) {
    free_side(&w->softmax);
    free_side(&w->favor);
    pf_free(w->lengths);
    pf_free(w->memory);
    *w = (walk){0};
}

const float *walk_q(const walk *w) {
    return w->q + (w->last * w->model->n_heads + w->settings.head) * w->model->head_dim;
}

static size_t kv_row(const walk *w) {
    const pf_model *m = w->model;
    size_t kv_head = w->settings.head / (m->n_heads / m->n_kv_heads);
    return (w->last * m->n_kv_heads + kv_head) * m->head_dim;
}

const float *walk_k(const walk *w) { return w->k + kv_row(w); }
const float *walk_v(const walk *w) { return w->v + kv_row(w); }

size_t walk_choose(const walk *w, size_t n, size_t *shown) {
    size_t count = 0;
    for (size_t t = 0; t < w->T; t++) {
        size_t heavier = 0; /* tokens that come before this one */
        for (size_t j = 0; j < w->T; j++)
            heavier += w->softmax.weights[j] > w->softmax.weights[t] ||
                       (j < t && w->softmax.weights[j] == w->softmax.weights[t]);
        if (heavier + 2 < n || t == 0 || t == w->last || w->T <= n) shown[count++] = t;
    }
    return count;
}
