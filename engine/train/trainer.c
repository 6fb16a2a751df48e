/* floor 2.8 - trainer: one training run, from a model's weights and a text to better weights. */
#include "trainer.h"

#include "memory.h"
#include "projection.h"
#include "random_features.h"

#include <math.h>
#include <string.h>

struct pf_trainer {
    const pf_model *model;
    pf_train_options options;
    const int32_t *tokens;
    size_t n_tokens;
    pf_train_state state;
    pf_train_weights gradient; /* views into the second block */
    pf_train_pass *pass;
    pf_distill *distill; /* or NULL */
    int32_t *ids;        /* [batch, tokens + 1] */
    double *partial, *scratch;
    size_t draw; /* of the features in use; SIZE_MAX: none yet */
    pf_real *memory;
};

static size_t count_numbers(const pf_model *model, pf_train_weights *w) {
    pf_train_weights_lay_out(model, NULL, w);
    return w->n;
}

size_t pf_trainer_bytes(const pf_model *model, const pf_train_options *o) {
    size_t pass = pf_train_pass_bytes(model, &o->attention, o->batch, o->tokens, o->n_threads);
    if (o->rank > 0)
        return pass + pf_distill_bytes(model) +
               4 * pf_distill_numbers(model, &o->attention, o->rank) * sizeof(pf_real) +
               pf_train_teacher_bytes(model, o->batch, o->tokens, o->n_threads);
    pf_train_weights w = {.layers = pf_calloc(model->n_layers, sizeof *w.layers, "", NULL)};
    if (!w.layers) return 0;
    size_t bytes = 4 * count_numbers(model, &w) * sizeof(pf_real);
    pf_free(w.layers);
    return bytes + pass;
}

/* Four blocks of n numbers that are learned, of which n_decayed decay. */
static bool allocate_numbers(pf_trainer *t, size_t n, size_t n_decayed, pf_error *error) {
    t->memory = pf_calloc(4 * n, sizeof *t->memory, "the weights and their moments", error);
    t->partial = pf_calloc(pf_adamw_partials(n), sizeof *t->partial, "training", error);
    t->state.numbers = (pf_adamw_state){
        t->memory, t->memory + n, t->memory + 2 * n, t->memory + 3 * n, n, n_decayed};
    return t->memory && t->partial;
}

static bool begin_distilling(pf_trainer *t, pf_error *error) {
    const pf_train_options *o = &t->options;
    size_t n = pf_distill_numbers(t->model, &o->attention, o->rank);
    if (!allocate_numbers(t, n, 0, error) || !pf_train_pass_prepare_teacher(t->pass, error))
        return false;
    t->distill =
        pf_distill_new(t->model, &o->attention, o->rank, &t->state.numbers, o->seed, error);
    if (!t->distill) return false;
    t->state.weights = t->distill->learner;
    t->gradient = t->distill->d_learner;
    return true;
}

static bool begin_learning(pf_trainer *t, pf_error *error) {
    const pf_model *model = t->model;
    size_t L = model->n_layers;
    t->state.weights.layers = pf_calloc(L, sizeof(pf_train_layer), "the weights", error);
    t->gradient.layers = pf_calloc(L, sizeof(pf_train_layer), "the weights", error);
    if (!t->state.weights.layers || !t->gradient.layers) return false;
    size_t n = count_numbers(model, &t->gradient);
    if (!allocate_numbers(t, n, t->gradient.n_matrices, error)) return false;
    pf_train_weights_lay_out(model, t->memory, &t->state.weights);
    pf_train_weights_lay_out(model, t->memory + n, &t->gradient);
    return pf_train_weights_read(model, &t->state.weights, error);
}

static bool begin(pf_trainer *t, pf_error *error) {
    const pf_train_options *o = &t->options;
    size_t D = t->model->head_dim;
    t->scratch = pf_calloc(D * D, sizeof *t->scratch, "training", error);
    t->ids = pf_calloc(o->batch * (o->tokens + 1), sizeof *t->ids, "a batch", error);
    if (!t->scratch || !t->ids) return false;
    return o->rank > 0 ? begin_distilling(t, error) : begin_learning(t, error);
}

static bool check_tokens(const pf_model *model, const pf_train_options *o, const int32_t *tokens,
                         size_t n, pf_error *error) {
    if (n < o->tokens + 1)
        return pf_fail(error,
                       "the text to train on has %zu tokens, but one sequence needs %zu; give a "
                       "longer text, or a smaller --context",
                       n, o->tokens + 1);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= model->n_vocab)
            return pf_fail(error, "token id %d at place %zu is outside the vocabulary of %u",
                           tokens[i], i, model->n_vocab);
    return true;
}

pf_trainer *pf_trainer_new(const pf_model *model, const pf_train_options *options,
                           const int32_t *tokens, size_t n, pf_error *error) {
    if (!check_tokens(model, options, tokens, n, error)) return NULL;
    pf_train_pass *pass = pf_train_pass_new(model, &options->attention, options->batch,
                                            options->tokens, options->n_threads, error);
    pf_trainer *t = pass ? pf_calloc(1, sizeof *t, "training", error) : NULL;
    if (!t) {
        pf_train_pass_free(pass);
        return NULL;
    }
    t->pass = pass;
    t->model = model;
    t->options = *options;
    t->tokens = tokens;
    t->n_tokens = n;
    if (!begin(t, error)) {
        pf_trainer_free(t);
        return NULL;
    }
    pf_rng_seed(&t->state.rng, options->seed, 0);
    pf_trainer_resumed(t);
    return t;
}

void pf_trainer_free(pf_trainer *t) {
    if (!t) return;
    if (!t->distill) {
        pf_free(t->state.weights.layers);
        pf_free(t->gradient.layers);
    }
    pf_distill_free(t->distill);
    pf_train_pass_free(t->pass);
    pf_free(t->memory);
    pf_free(t->partial);
    pf_free(t->scratch);
    pf_free(t->ids);
    pf_free(t);
}

/* ---- features ---- */

/* The projection that the model's file stores for this head, or NULL. */
static const float *stored_omega(const pf_trainer *t, size_t layer, size_t kv_head, size_t m) {
    const pf_favor_weights *favor = &t->model->layers[layer].favor;
    size_t D = t->model->head_dim, n = favor->n_projections;
    if (t->options.redraw > 0 || !favor->projection || favor->projection_features != m) return NULL;
    if (n == 1) return favor->projection;
    return n == t->model->n_kv_heads ? favor->projection + kv_head * m * D : NULL;
}

static void draw_head(pf_trainer *t, size_t layer, size_t kv_head, size_t m) {
    const pf_model *model = t->model;
    const pf_attention_options *o = &t->options.attention;
    size_t D = model->head_dim, G = model->n_heads / model->n_kv_heads;
    pf_real *omega = pf_train_pass_omega(t->pass, layer, kv_head);
    float *drawn = (float *)(void *)omega; /* widened in place where numbers are double */
    const float *stored = stored_omega(t, layer, kv_head, m);
    uint64_t stream = (uint64_t)layer * model->n_heads + kv_head * G;
    pf_rng rng;
    pf_rng_seed(&rng, o->seed, stream << 32 | t->draw);
    if (stored)
        memcpy(drawn, stored, m * D * sizeof *drawn);
    else
        pf_projection_draw(&rng, o->projection, m, D, drawn, t->scratch);
    if (sizeof(pf_real) != sizeof(float))
        for (size_t i = m * D; i-- > 0;) {
            float value;
            memcpy(&value, drawn + i, sizeof value);
            omega[i] = value;
        }
}

/* Draws the features that step number `step` (from 0) learns with, unless they are in use. */
static void draw_for(pf_trainer *t, size_t step) {
    const pf_attention_options *o = &t->options.attention;
    size_t draw = t->options.redraw > 0 ? step / t->options.redraw : 0, m;
    if (o->kind != PF_ATTENTION_FAVOR || o->map == PF_MAP_NORMALIZED || draw == t->draw) return;
    t->draw = draw;
    m = pf_map_projections(o->map, o->features);
    for (size_t i = 0; m > 0 && i < t->model->n_layers; i++)
        for (size_t k = 0; k < t->model->n_kv_heads; k++) draw_head(t, i, k, m);
}

void pf_trainer_resumed(pf_trainer *t) {
    size_t done = t->state.step;
    t->draw = SIZE_MAX;
    draw_for(t, done > 0 ? done - 1 : 0);
    if (t->distill) pf_distill_apply(t->distill, pf_train_pass_team(t->pass));
}

const pf_distill *pf_trainer_distill(const pf_trainer *t) { return t->distill; }

const pf_real *pf_trainer_omega(const pf_trainer *t, size_t layer, size_t kv_head, size_t *m) {
    const pf_attention_options *o = &t->options.attention;
    bool drawn = o->kind == PF_ATTENTION_FAVOR && o->map != PF_MAP_NORMALIZED;
    *m = drawn ? pf_map_projections(o->map, o->features) : 0;
    return pf_train_pass_omega(t->pass, layer, kv_head);
}

/* ---- steps ---- */

static void choose_windows(pf_trainer *t) {
    size_t length = t->options.tokens + 1, places = t->n_tokens - length + 1;
    for (size_t b = 0; b < t->options.batch; b++) {
        size_t place = (size_t)(pf_rng_uniform(&t->state.rng) * (double)places);
        memcpy(t->ids + b * length, t->tokens + place, length * sizeof *t->ids);
    }
}

/* The sum of the losses of a batch, whose gradient is added up if its weight is not 0. */
static double run_batch(pf_trainer *t, pf_train_batch batch) {
    batch.taught = t->distill != NULL;
    if (t->distill) pf_train_pass_teach(t->pass, &t->distill->teacher, batch);
    return pf_train_pass_run(t->pass, &t->state.weights, batch.weight > 0 ? &t->gradient : NULL,
                             batch);
}

/* Moves the numbers; the norm of their gradient. */
static double move(pf_trainer *t, double rate, size_t step) {
    pf_team *team = pf_train_pass_team(t->pass);
    if (t->distill) pf_distill_back(t->distill, team);
    double norm = pf_adamw_step(&t->options.adamw, &t->state.numbers, rate, step, team, t->partial);
    if (t->distill) pf_distill_apply(t->distill, team);
    return norm;
}

bool pf_trainer_step(pf_trainer *t, pf_train_report *report, pf_error *error) {
    const pf_train_options *o = &t->options;
    pf_adamw_state *s = &t->state.numbers;
    double predictions = (double)(o->batch * o->tokens * o->accumulate), sum = 0;
    pf_train_batch batch = {t->ids, o->batch, o->tokens, (pf_real)(1 / predictions), false};
    draw_for(t, t->state.step);
    memset(s->gradient, 0, s->n * sizeof *s->gradient);
    if (t->distill) pf_distill_clear(t->distill);
    for (size_t i = 0; i < o->accumulate; i++) {
        choose_windows(t);
        sum += run_batch(t, batch);
    }
    *report = (pf_train_report){.step = t->state.step + 1, .loss = sum / predictions};
    report->rate = pf_cosine_rate(o->rate, t->state.step, o->warm_up, o->steps);
    report->gradient_norm = NAN;
    if (isfinite(report->loss)) report->gradient_norm = move(t, report->rate, report->step);
    if (!isfinite(report->gradient_norm))
        return pf_fail(error,
                       "in step %zu the loss is %g and its gradient is not finite; a lower --lr or "
                       "a longer --warm-up may help",
                       report->step, report->loss);
    t->state.step++;
    return true;
}

double pf_trainer_losses(pf_trainer *t, const int32_t *ids, size_t batch, size_t n) {
    return run_batch(t, (pf_train_batch){ids, batch, n - 1, 0, false});
}

double pf_trainer_loss(pf_trainer *t, const int32_t *ids, size_t n) {
    return pf_trainer_losses(t, ids, 1, n);
}

pf_train_state *pf_trainer_state(pf_trainer *t) { return &t->state; }
