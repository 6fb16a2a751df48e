/* floor 2.7 - distill: what a model under Performer attention learns from itself under softmax. */
#include "distill.h"

#include "memory.h"

#include <string.h>

static pf_attention_config configured(const pf_model *model, const pf_attention_options *o) {
    pf_attention_config c = pf_attention_configure(model, *o, model->context);
    if (o->kind != PF_ATTENTION_FAVOR) c.options.map = PF_MAP_POSITIVE; /* nothing is fitted */
    return c;
}

size_t pf_distill_numbers(const pf_model *model, const pf_attention_options *attention,
                          size_t rank) {
    pf_attention_config c = configured(model, attention);
    return pf_train_lora_numbers(model, rank) + pf_train_fitted_at(&c, model->n_layers, true, 0);
}

size_t pf_distill_bytes(const pf_model *model) {
    pf_train_layer *layers = pf_calloc(model->n_layers, sizeof *layers, "", NULL);
    size_t attention = layers ? pf_train_attention_lay_out(model, NULL, layers) : 0;
    pf_free(layers);
    return (size_t)(pf_model_parameters(model) + 2 * attention) * sizeof(pf_real);
}

static bool allocate(pf_distill *d, size_t rank, pf_error *error) {
    size_t L = d->model->n_layers, pairs = L * PF_LORA_PARTS;
    d->layers = pf_calloc(3 * L, sizeof *d->layers, "the weights", error);
    d->lora.pairs = pf_calloc(pairs, sizeof *d->lora.pairs, "the update", error);
    d->d_lora.pairs = pf_calloc(pairs, sizeof *d->d_lora.pairs, "the update", error);
    if (!d->layers || !d->lora.pairs || !d->d_lora.pairs) return false;
    d->lora.rank = d->d_lora.rank = rank;
    d->lora.scale = d->d_lora.scale = 1;
    d->learner.layers = d->layers;
    d->teacher.layers = d->layers + L;
    d->d_learner.layers = d->layers + 2 * L;
    pf_train_weights_lay_out(d->model, NULL, &d->learner);
    d->n_attention = pf_train_attention_lay_out(d->model, NULL, d->teacher.layers);
    d->memory = pf_calloc(d->learner.n + 2 * d->n_attention, sizeof *d->memory,
                          "the weights of teacher and learner", error);
    return d->memory != NULL;
}

/* The teacher shares all but the matrices of attention. */
static void lay_out(pf_distill *d) {
    pf_real *own = d->memory + d->learner.n;
    pf_train_layer *teacher = d->teacher.layers;
    size_t L = d->model->n_layers;
    pf_train_weights_lay_out(d->model, d->memory, &d->learner);
    d->teacher = d->learner;
    d->teacher.layers = teacher;
    pf_train_attention_lay_out(d->model, own, teacher);
    for (size_t i = 0; i < L; i++) {
        pf_train_layer attention = teacher[i];
        teacher[i] = d->learner.layers[i];
        teacher[i].qkv = attention.qkv;
        teacher[i].output = attention.output;
    }
    d->d_attention = own + d->n_attention;
    pf_train_attention_lay_out(d->model, d->d_attention, d->d_learner.layers);
}

/* The learner's matrices are in several places of the block, the teacher's in one. */
static void copy_attention(const pf_distill *d) {
    const pf_model *m = d->model;
    size_t HD = (size_t)m->n_heads * m->head_dim, KVD = (size_t)m->n_kv_heads * m->head_dim;
    for (size_t i = 0; i < m->n_layers; i++) {
        const pf_train_layer *from = &d->learner.layers[i], *to = &d->teacher.layers[i];
        memcpy(to->qkv, from->qkv, (HD + 2 * KVD) * m->width * sizeof *to->qkv);
        memcpy(to->output, from->output, HD * m->width * sizeof *to->output);
    }
}

pf_distill *pf_distill_new(const pf_model *model, const pf_attention_options *attention,
                           size_t rank, const pf_adamw_state *numbers, uint64_t seed,
                           pf_error *error) {
    pf_distill *d = pf_calloc(1, sizeof *d, "distilling", error);
    pf_rng rng;
    if (!d) return NULL;
    d->model = model;
    d->attention = configured(model, attention);
    if (!allocate(d, rank, error)) {
        pf_distill_free(d);
        return NULL;
    }
    lay_out(d);
    if (!pf_train_weights_read(model, &d->learner, error)) {
        pf_distill_free(d);
        return NULL;
    }
    copy_attention(d);
    d->n_lora = pf_train_lora_numbers(model, rank);
    pf_train_lora_lay_out(model, numbers->weights, &d->lora);
    pf_train_lora_lay_out(model, numbers->gradient, &d->d_lora);
    d->learner.fitted = numbers->weights + d->n_lora;
    d->d_learner.fitted = numbers->gradient + d->n_lora;
    pf_rng_seed(&rng, seed, 1);
    pf_train_lora_begin(model, &d->lora, &rng);
    pf_train_fitted_read(&d->attention, d->learner.fitted);
    return d;
}

void pf_distill_free(pf_distill *d) {
    if (!d) return;
    pf_free(d->layers);
    pf_free(d->lora.pairs);
    pf_free(d->d_lora.pairs);
    pf_free(d->memory);
    pf_free(d);
}

void pf_distill_apply(pf_distill *d, pf_team *team) {
    pf_train_lora_apply(d->model, &d->lora, d->teacher.layers, d->learner.layers, team);
}

void pf_distill_clear(pf_distill *d) {
    memset(d->d_attention, 0, d->n_attention * sizeof *d->d_attention);
}

void pf_distill_back(pf_distill *d, pf_team *team) {
    pf_train_lora_back(d->model, &d->lora, d->d_learner.layers, &d->d_lora, team);
}
