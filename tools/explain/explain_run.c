/* floor 5.5 - explain run: one text through one model, and what `explain` shows of one head. */
#include "explain_run.h"

#include "memory.h"

#include <math.h>
#include <string.h>

static bool check(const explain_run *run, pf_error *error) {
    const pf_model *model = run->model;
    const explain_settings *s = &run->settings;
    if (s->layer >= model->n_layers)
        return pf_fail(error, "--layer %u is out of range: this model has %u layers, 0 to %u",
                       s->layer, model->n_layers, model->n_layers - 1);
    if (s->head >= model->n_heads)
        return pf_fail(error, "--head %u is out of range: this model has %u heads, 0 to %u",
                       s->head, model->n_heads, model->n_heads - 1);
    if (run->T < 2)
        return pf_fail(error,
                       "the text has %zu %s, and a single token attends only to itself; give a "
                       "longer one with -p",
                       run->T, run->T == 1 ? "token" : "tokens");
    if (run->T > EXPLAIN_MAX_TOKENS)
        return pf_fail(
            error, "the text has %zu tokens; explain shows texts of up to %d: give a shorter one",
            run->T, EXPLAIN_MAX_TOKENS);
    if (model->position == PF_POSITION_LEARNED && run->T > model->context)
        return pf_fail(error, "the text has %zu tokens, but this model has only %u positions",
                       run->T, model->context);
    return true;
}

static bool allocate(explain_run *run, pf_error *error) {
    const pf_model *m = run->model;
    size_t C = m->width, T = run->T, HD = (size_t)m->n_heads * m->head_dim;
    size_t kvD = (size_t)m->n_kv_heads * m->head_dim, floats = 0;
    struct {
        float **array;
        size_t n;
    } arrays[] = {{&run->embedding, C},
                  {&run->attention_norm, C},
                  {&run->attention_output, C},
                  {&run->attention_residual, C},
                  {&run->mlp_output, C},
                  {&run->layer_output, C},
                  {&run->final_norm, C},
                  {&run->q, T * HD},
                  {&run->k, T * kvD},
                  {&run->v, T * kvD},
                  {&run->heads, T * HD},
                  {&run->softmax.weights, T},
                  {&run->favor.weights, T},
                  {&run->softmax.logits, m->n_vocab},
                  {&run->favor.logits, m->n_vocab}};
    size_t count = sizeof arrays / sizeof arrays[0];
    for (size_t i = 0; i < count; i++) floats += arrays[i].n;
    run->memory = pf_calloc(floats, sizeof(float), "the walkthrough", error);
    run->lengths =
        pf_calloc((size_t)m->n_layers + 1, sizeof *run->lengths, "the walkthrough", error);
    if (!run->memory || !run->lengths) return false;
    float *next = run->memory;
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

/* Where the rows of a tap point go, if all of them are kept; NULL if not. */
static float *all_rows(explain_run *run, pf_tap_point point) {
    switch (point) {
    case PF_TAP_Q:
        return run->q;
    case PF_TAP_K:
        return run->k;
    case PF_TAP_V:
        return run->v;
    case PF_TAP_ATTENTION_HEADS:
        return run->heads;
    default:
        return NULL;
    }
}

/* The same for points of which only the last token's row is kept. */
static float *last_row(explain_run *run, pf_tap_point point) {
    switch (point) {
    case PF_TAP_EMBEDDING:
        return run->embedding;
    case PF_TAP_ATTENTION_NORM:
        return run->attention_norm;
    case PF_TAP_ATTENTION_OUTPUT:
        return run->attention_output;
    case PF_TAP_ATTENTION_RESIDUAL:
        return run->attention_residual;
    case PF_TAP_MLP_OUTPUT:
        return run->mlp_output;
    case PF_TAP_LAYER:
        return run->layer_output;
    case PF_TAP_FINAL_NORM:
        return run->final_norm;
    default:
        return NULL;
    }
}

static void keep(void *context, pf_tap_point point, uint32_t layer, size_t first, const float *rows,
                 size_t n_rows, size_t n_cols) {
    explain_run *run = context;
    const float *last = rows + (n_rows - 1) * n_cols;
    bool ends = point == PF_TAP_FINAL_NORM || first + n_rows == run->T;
    if (ends && point == PF_TAP_EMBEDDING) run->lengths[0] = length_of(last, n_cols);
    if (ends && point == PF_TAP_LAYER) run->lengths[layer + 1] = length_of(last, n_cols);
    bool anywhere = point == PF_TAP_EMBEDDING || point == PF_TAP_FINAL_NORM;
    if (layer != run->settings.layer && !anywhere) return;
    float *all = all_rows(run, point), *row = last_row(run, point);
    if (all) memcpy(all + first * n_cols, rows, n_rows * n_cols * sizeof *rows);
    if (row && ends) memcpy(row, last, n_cols * sizeof *row);
}

/* Runs the text through the whole model under one kind of attention. */
static bool read_text(explain_run *run, explain_side *side, const pf_session_options *options,
                      pf_error *error) {
    side->session = pf_session_new(run->model, options, error);
    if (!side->session) return false;
    if (side == run->leads) pf_session_set_tap(side->session, keep, run);
    bool good = pf_session_append(side->session, run->ids, run->T, side->logits, 1, error);
    pf_session_set_tap(side->session, NULL, NULL);
    side->bad_denominators = pf_session_get_stats(side->session).bad_denominators;
    for (size_t i = 0; good && i < run->model->n_vocab; i++)
        if (!isfinite(side->logits[i]))
            return pf_fail(error, "the logits under %s are not finite",
                           pf_attention_name(options->attention.kind));
    if (good) side->next = predict(side->logits, run->model->n_vocab, NULL);
    return good;
}

/* Runs the layer's attention on the leading session's queries, keys and values. */
static bool attend(explain_run *run, explain_side *side, pf_error *error) {
    const pf_model *m = run->model;
    size_t T = run->T;
    uint32_t head = run->settings.head;
    if (!head_trace_new(&side->trace, side->session, run->settings.layer, head, run->q, run->k,
                        run->v, T, error))
        return false;
    side->out = side->trace.out + (run->last * m->n_heads + head) * m->head_dim;
    float *weights = pf_calloc(m->n_heads * T, T * sizeof *weights, "attention weights", error);
    bool good = weights && pf_attention_weights(side->session, run->settings.layer, run->q, run->k,
                                                T, weights, error);
    if (good) memcpy(side->weights, weights + (head * T + run->last) * T, T * sizeof *weights);
    pf_free(weights);
    return good;
}

/* KL(softmax || favor) of the two sessions' predictions. */
static bool measure_divergence(explain_run *run, pf_error *error) {
    size_t V = run->model->n_vocab;
    float *weights = pf_calloc(V, sizeof *weights, "the walkthrough", error);
    if (!weights) return false;
    prediction p = predict(run->softmax.logits, V, weights);
    run->kl =
        diverge(&p, run->softmax.logits, weights, &run->favor.next, run->favor.logits, V, p.best[0])
            .kl;
    pf_free(weights);
    return true;
}

bool explain_run_new(explain_run *run, const pf_loaded *loaded, const int32_t *ids, size_t T,
                     const explain_settings *settings, pf_error *error) {
    *run = (explain_run){.settings = *settings,
                         .loaded = loaded,
                         .model = loaded->model,
                         .ids = ids,
                         .T = T,
                         .last = T - 1};
    run->leads = settings->favor_leads ? &run->favor : &run->softmax;
    if (!check(run, error) || !allocate(run, error) ||
        !read_text(run, &run->softmax, &settings->softmax, error) ||
        !read_text(run, &run->favor, &settings->favor, error) ||
        !attend(run, &run->softmax, error) || !attend(run, &run->favor, error))
        return false;
    return measure_divergence(run, error);
}

static void free_side(explain_side *side) {
    head_trace_free(&side->trace);
    pf_session_free(side->session);
}

void explain_run_free(explain_run *run) {
    free_side(&run->softmax);
    free_side(&run->favor);
    pf_free(run->lengths);
    pf_free(run->memory);
    *run = (explain_run){0};
}

const float *explain_run_q(const explain_run *run) {
    return run->q + (run->last * run->model->n_heads + run->settings.head) * run->model->head_dim;
}

static size_t kv_row(const explain_run *run) {
    const pf_model *m = run->model;
    size_t kv_head = run->settings.head / (m->n_heads / m->n_kv_heads);
    return (run->last * m->n_kv_heads + kv_head) * m->head_dim;
}

const float *explain_run_k(const explain_run *run) { return run->k + kv_row(run); }
const float *explain_run_v(const explain_run *run) { return run->v + kv_row(run); }

size_t explain_run_choose(const explain_run *run, size_t n, size_t *shown) {
    size_t count = 0;
    for (size_t t = 0; t < run->T; t++) {
        size_t heavier = 0; /* tokens ranked above this one */
        for (size_t j = 0; j < run->T; j++)
            heavier += run->softmax.weights[j] > run->softmax.weights[t] ||
                       (j < t && run->softmax.weights[j] == run->softmax.weights[t]);
        if (heavier + 2 < n || t == 0 || t == run->last || run->T <= n) shown[count++] = t;
    }
    return count;
}
