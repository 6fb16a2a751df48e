/* floor 5.4 - shape: a model of a given shape with random weights, to measure without a file. */
#include "shape.h"

#include "memory.h"
#include "options.h"
#include "quant.h"
#include "rng.h"
#include "threads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    shape shape;
} named_shapes[] = {
    {"15M", {288, 6, 6, 768, 32000, false}},
    {"110M", {768, 12, 12, 2048, 32000, false}},
    {"gpt2", {768, 12, 12, 3072, 50257, true}},
};

static bool parse_numbers(const char *text, uint32_t *numbers, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char item[16];
        size_t length = strcspn(text, "x");
        uint64_t value = 0;
        if (length >= sizeof item || (text[length] == 'x') != (i + 1 < n)) return false;
        snprintf(item, sizeof item, "%.*s", (int)length, text);
        if (!parse_count(item, &value) || value < 1 || value > 1 << 24) return false;
        numbers[i] = (uint32_t)value;
        text += length + 1;
    }
    return true;
}

bool shape_parse(const char *text, shape *parsed, pf_error *error) {
    for (size_t i = 0; i < sizeof named_shapes / sizeof named_shapes[0]; i++)
        if (strcmp(text, named_shapes[i].name) == 0) {
            *parsed = named_shapes[i].shape;
            return true;
        }
    uint32_t n[5];
    if (!parse_numbers(text, n, 5))
        return pf_fail(error,
                       "--shape takes 15M, 110M, gpt2 or five whole numbers "
                       "DIMxLAYERSxHEADSxHIDDENxVOCAB, not \"%.60s\"",
                       text);
    if (n[0] % n[2] != 0 || n[0] / n[2] % 2 != 0)
        return pf_fail(error, "--shape %.60s: %u heads do not divide a width of %u into even sizes",
                       text, n[2], n[0]);
    *parsed = (shape){n[0], n[1], n[2], n[3], n[4], false};
    return true;
}

struct random_model {
    pf_model model;
    pf_layer *layers;
    void **blocks; /* all memory for weights */
    size_t n_blocks, room;
    pf_type type;
    int n_threads;
};

static void *new_block(random_model *random, size_t count, size_t size, pf_error *error) {
    if (random->n_blocks == random->room) {
        size_t room = random->room ? 2 * random->room : 64;
        void **grown = pf_realloc(random->blocks, room, sizeof *grown, "the weights", error);
        if (!grown) return NULL;
        random->blocks = grown;
        random->room = room;
    }
    void *block = pf_calloc(count, size, "the weights", error);
    if (!block) return NULL;
    pf_huge_pages(block);
    random->blocks[random->n_blocks++] = block;
    return block;
}

static const float *new_vector(random_model *random, size_t n, float value, pf_error *error) {
    float *vector = new_block(random, n, sizeof *vector, error);
    for (size_t i = 0; vector && i < n; i++) vector[i] = value;
    return vector;
}

typedef struct {
    pf_matrix matrix;
    uint8_t *data;
    uint64_t seed;
    pf_error error[1];
    bool failed;
} filling;

/* Where the blocks of the types that pf_quantize_row does not write keep their scale, and what else
 * there is: the offset that all values of a block share (added, or subtracted in the K types), as a
 * multiple of the scale so that values lie around 0. The quants of blocks are random bytes. */
static const struct {
    size_t scale, offset; /* bytes from the start of the block; offset 0: there is none */
    float ratio;
} random_blocks[PF_TYPE_COUNT] = {
    [PF_Q4_1] = {0, 2, -7.5f},  [PF_Q5_0] = {0, 0, 0},   [PF_Q5_1] = {0, 2, -15.5f},
    [PF_Q2_K] = {80, 82, 1.5f}, [PF_Q3_K] = {108, 0, 0}, [PF_Q4_K] = {0, 2, 7.5f},
    [PF_Q5_K] = {0, 2, 15.5f},  [PF_Q6_K] = {208, 0, 0}, [PF_IQ4_NL] = {0, 0, 0},
    [PF_IQ4_XS] = {0, 0, 0},
};

static void set_scale(pf_type type, uint8_t *block, float scale) {
    uint16_t d = pf_f32_to_f16(scale), m = pf_f32_to_f16(scale * random_blocks[type].ratio);
    memcpy(block + random_blocks[type].scale, &d, sizeof d);
    if (random_blocks[type].offset) memcpy(block + random_blocks[type].offset, &m, sizeof m);
}

/* Fills a block with random bytes, and scales it to the variance 1 / cols. */
static void fill_block(pf_type type, uint8_t *block, size_t cols, pf_rng *rng) {
    const pf_type_info *info = pf_type_get(type);
    float values[256];
    double sum = 0;
    for (size_t i = 0; i < info->block_bytes; i++) block[i] = (uint8_t)pf_rng_u64(rng);
    set_scale(type, block, 1);
    pf_dequantize_row(type, block, values, info->block_size);
    for (size_t i = 0; i < info->block_size; i++) sum += (double)values[i] * values[i];
    double mean = sum / (double)info->block_size;
    set_scale(type, block, mean > 0 ? (float)sqrt(1 / (mean * (double)cols)) : 0);
}

/* Each row has its own random stream, so the weights do not depend on the number of threads. */
static void fill_share(void *context, pf_member member) {
    filling *f = context;
    size_t begin, end, cols = f->matrix.cols, row_bytes = pf_row_bytes(f->matrix.type, cols);
    float *values = pf_calloc(cols, sizeof *values, "a row of weights", f->error);
    if (!values) {
        f->failed = true;
        return;
    }
    float bound = sqrtf(3.0f / (float)cols); /* variance 1 / cols */
    pf_share(member, f->matrix.rows, 1, &begin, &end);
    for (size_t row = begin; row < end; row++) {
        pf_rng rng;
        pf_rng_seed(&rng, f->seed, row);
        for (size_t i = 0; i < cols; i++) values[i] = bound * (float)(2 * pf_rng_uniform(&rng) - 1);
        uint8_t *data = f->data + row * row_bytes;
        if (pf_quantize_row(f->matrix.type, values, data, cols)) continue;
        for (size_t at = 0; at < row_bytes; at += pf_type_get(f->matrix.type)->block_bytes)
            fill_block(f->matrix.type, data + at, cols, &rng);
    }
    pf_free(values);
}

static bool new_matrix(random_model *random, size_t rows, size_t cols, pf_matrix *matrix,
                       pf_error *error) {
    size_t row_bytes = pf_row_bytes(random->type, cols);
    if (row_bytes == 0)
        return pf_fail(error,
                       "rows of %zu values do not fill whole blocks of %s; choose a multiple of "
                       "%zu, or --type f32",
                       cols, pf_type_get(random->type)->name,
                       pf_type_get(random->type)->block_size);
    uint8_t *data = new_block(random, rows, row_bytes, error);
    if (!data) return false;
    *matrix = (pf_matrix){random->type, rows, cols, data};
    filling f = {.matrix = *matrix, .data = data, .seed = random->n_blocks};
    pf_parallel(random->n_threads, fill_share, &f);
    return !f.failed || pf_fail(error, "not enough memory for a row of weights");
}

static bool new_linear(random_model *random, size_t rows, size_t cols, bool bias, pf_linear *linear,
                       pf_error *error) {
    return new_matrix(random, rows, cols, &linear->weight, error) &&
           (!bias || (linear->bias = new_vector(random, rows, 0, error)));
}

static bool new_norm(random_model *random, size_t n, bool bias, pf_norm *norm, pf_error *error) {
    norm->weight = new_vector(random, n, 1, error);
    return norm->weight && (!bias || (norm->bias = new_vector(random, n, 0, error)));
}

static bool new_layer(random_model *random, bool gpt2, pf_layer *layer, pf_error *error) {
    size_t C = random->model.width, F = random->model.hidden;
    return new_norm(random, C, gpt2, &layer->attention_norm, error) &&
           new_linear(random, C, C, gpt2, &layer->q, error) &&
           new_linear(random, C, C, gpt2, &layer->k, error) &&
           new_linear(random, C, C, gpt2, &layer->v, error) &&
           new_linear(random, C, C, gpt2, &layer->output, error) &&
           new_norm(random, C, gpt2, &layer->mlp_norm, error) &&
           (gpt2 || new_linear(random, F, C, false, &layer->gate, error)) &&
           new_linear(random, F, C, gpt2, &layer->up, error) &&
           new_linear(random, C, F, gpt2, &layer->down, error);
}

static bool fill_model(random_model *random, bool gpt2, pf_error *error) {
    pf_model *m = &random->model;
    random->layers = new_block(random, m->n_layers, sizeof(pf_layer), error);
    if (!random->layers) return false;
    m->layers = random->layers;
    for (uint32_t l = 0; l < m->n_layers; l++)
        if (!new_layer(random, gpt2, &random->layers[l], error)) return false;
    if (!new_norm(random, m->width, gpt2, &m->final_norm, error) ||
        !new_matrix(random, m->n_vocab, m->width, &m->embedding, error))
        return false;
    m->logits.weight = m->embedding;
    return !gpt2 || (m->position_embedding =
                         new_vector(random, (size_t)m->context * m->width, 0.01f, error));
}

random_model *random_model_new(const shape *wanted, pf_type type, uint32_t context, int n_threads,
                               pf_error *error) {
    random_model *random = pf_calloc(1, sizeof *random, "the model", error);
    if (!random) return NULL;
    random->type = type;
    random->n_threads = n_threads;
    uint32_t D = wanted->width / wanted->n_heads;
    random->model = (pf_model){
        .n_layers = wanted->n_layers,
        .width = wanted->width,
        .hidden = wanted->hidden,
        .n_heads = wanted->n_heads,
        .n_kv_heads = wanted->n_heads,
        .head_dim = D,
        .n_vocab = wanted->n_vocab,
        .context = context,
        .norm = wanted->gpt2 ? PF_NORM_LAYER : PF_NORM_RMS,
        .norm_eps = 1e-5f,
        .position = wanted->gpt2 ? PF_POSITION_LEARNED : PF_POSITION_ROPE_ADJACENT,
        .rope_dim = wanted->gpt2 ? 0 : D,
        .rope_base = 10000,
        .mlp = wanted->gpt2 ? PF_MLP_GELU_TANH : PF_MLP_SWIGLU,
        .attention_scale = 1 / sqrtf((float)D),
        .embedding_scale = 1,
        .residual_scale = 1,
        .logit_scale = 1,
        .attention = pf_attention_options_default(),
        .tail_rope = true,
    };
    snprintf(random->model.family, sizeof random->model.family, wanted->gpt2 ? "gpt2" : "llama");
    if (fill_model(random, wanted->gpt2, error)) return random;
    random_model_free(random);
    return NULL;
}

const pf_model *random_model_get(const random_model *random) { return &random->model; }

void random_model_free(random_model *random) {
    if (!random) return;
    for (size_t i = 0; i < random->n_blocks; i++) pf_free(random->blocks[i]);
    pf_free(random->blocks);
    pf_free(random);
}
