/* floor 2.9 - calibration result: the memory of a pf_calibration. */
#include "calibration_result.h"

#include "memory.h"

float *pf_calibration_alloc(pf_calibration *c, size_t floats, pf_error *error) {
    float **blocks = pf_realloc(c->blocks, c->n_blocks + 1, sizeof *blocks, "a calibration", error);
    if (!blocks) return NULL;
    c->blocks = blocks;
    float *block = pf_calloc(floats, sizeof *block, "a calibration", error);
    if (block) c->blocks[c->n_blocks++] = block;
    return block;
}

void pf_calibration_free(pf_calibration *c) {
    if (!c) return;
    for (size_t i = 0; i < c->n_blocks; i++) pf_free(c->blocks[i]);
    pf_free(c->blocks);
    pf_free(c->windows);
    pf_free(c->head_features);
    pf_free(c->recall.heads);
    pf_free(c->layers);
    pf_free(c->heads);
    pf_free(c);
}

pf_calibration *pf_calibration_new(const pf_model *model, const pf_calibration_options *options,
                                   pf_error *error) {
    pf_calibration *c = pf_calloc(1, sizeof *c, "a calibration", error);
    if (!c) return NULL;
    size_t n = (size_t)model->n_layers * model->n_kv_heads;
    c->n_layers = model->n_layers;
    c->n_kv_heads = model->n_kv_heads;
    c->windows = pf_calloc(n, sizeof *c->windows, "a calibration", error);
    c->head_features = pf_calloc(n, sizeof *c->head_features, "a calibration", error);
    c->layers = pf_calloc(model->n_layers, sizeof *c->layers, "a calibration", error);
    c->heads = pf_calloc(n, sizeof *c->heads, "a calibration", error);
    if (!c->windows || !c->head_features || !c->layers || !c->heads) {
        pf_calibration_free(c);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t sliding = model->layers[i / model->n_kv_heads].window;
        c->windows[i] = sliding > 0 ? sliding : (uint32_t)options->window;
        c->head_features[i] = sliding > 0 ? 0 : (uint32_t)options->features;
    }
    bool tails = options->features > 0;
    c->tail_rope = !options->fit;
    c->per_head = options->budget;
    c->attention = pf_attention_options_default();
    c->attention.kind = tails ? PF_ATTENTION_FAVOR : PF_ATTENTION_LOCAL;
    c->attention.map = options->fit ? PF_MAP_NORMALIZED : PF_MAP_FAVOR_PP;
    c->attention.window = (uint32_t)options->window;
    if (tails) c->attention.features = (uint32_t)options->features;
    c->attention.sinks = (uint32_t)options->sinks;
    c->attention.seed = options->steps.seed;
    return c;
}
