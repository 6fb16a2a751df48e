/* floor 5.5 - feature error: how the error of random features falls with their number. */
#include "feature_error.h"

#include "attention_weights.h"
#include "head_features.h"
#include "memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_DRAWS = 3, KERNEL_DRAWS = 40, MOST_PAIRS = 64, MOST_DIMS = 1024 };

typedef struct measuring {
    feature_error *e;
    const qkv_rows *rows;
    float *exact, *out; /* [n_layers, T, H * D]; [T, H * D] */
    size_t width;       /* T * H * D */
} measuring;

static bool replay(const measuring *m, pf_session *session, size_t i, float *out, pf_error *error) {
    uint32_t layer = m->e->layers[i];
    return pf_attention_replay(session, layer, qkv_rows_q(m->rows, layer),
                               qkv_rows_k(m->rows, layer), qkv_rows_v(m->rows, layer), m->rows->T,
                               out, error);
}

static double squared_error(const float *a, const float *exact, size_t n) {
    double difference = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)exact[i];
        difference += d * d;
        total += (double)exact[i] * (double)exact[i];
    }
    return total > 0 ? difference / total : 0;
}

static bool measure_exact(measuring *m, const pf_session_options *softmax, pf_error *error) {
    pf_session *session = pf_session_new(m->rows->model, softmax, error);
    bool good = session != NULL;
    for (size_t i = 0; good && i < m->e->n_layers; i++)
        good = replay(m, session, i, m->exact + i * m->width, error);
    pf_session_free(session);
    return good;
}

static bool measure_draw(measuring *m, const pf_session_options *options, size_t size,
                         pf_error *error) {
    pf_session *session = pf_session_new(m->rows->model, options, error);
    bool good = session != NULL;
    for (size_t i = 0; good && i < m->e->n_layers; i++) {
        good = replay(m, session, i, m->out, error);
        if (good)
            m->e->output[i][size] +=
                squared_error(m->out, m->exact + i * m->width, m->width) / OUTPUT_DRAWS;
    }
    pf_session_free(session);
    return good;
}

static bool measure_output(measuring *m, const pf_session_options *softmax,
                           const pf_session_options *favor, pf_error *error) {
    feature_error *e = m->e;
    pf_session_options varied = *favor;
    varied.attention.kind = PF_ATTENTION_FAVOR;
    if (varied.attention.map == PF_MAP_ELU) varied.attention.map = PF_MAP_POSITIVE;
    if (!measure_exact(m, softmax, error)) return false;
    for (size_t size = 0; size < FEATURE_SIZES; size++) {
        varied.attention.features = (uint32_t)e->sizes[size];
        for (uint64_t draw = 0; draw < OUTPUT_DRAWS; draw++) {
            varied.attention.seed = favor->attention.seed + 1000 * draw;
            if (!measure_draw(m, &varied, size, error)) return false;
        }
        for (size_t i = 0; i < e->n_layers; i++) e->output[i][size] = sqrt(e->output[i][size]);
    }
    return true;
}

/* ---- single estimates */

typedef struct pair {
    uint32_t t, j;
    double z, xy;
} pair;

static int by_z(const void *a, const void *b) {
    const pair *x = a, *y = b;
    return (x->z > y->z) - (x->z < y->z);
}

static pair make_pair(const qkv_rows *rows, uint32_t layer, uint32_t head, uint32_t t, uint32_t j) {
    const pf_model *m = rows->model;
    float x[MOST_DIMS], y[MOST_DIMS];
    pair p = {.t = t, .j = j};
    qkv_rows_x(rows, layer, head, t, x);
    qkv_rows_y(rows, layer, head / (m->n_heads / m->n_kv_heads), j, y);
    for (size_t d = 0; d < m->head_dim; d++) {
        double sum = (double)x[d] + (double)y[d];
        p.z += sum * sum;
        p.xy += (double)x[d] * (double)y[d];
    }
    return p;
}

/* Up to MOST_PAIRS pairs of one head with the smallest Z, from the first tokens of the text. */
static size_t choose_pairs(const qkv_rows *rows, uint32_t layer, uint32_t head, pair *pairs,
                           pf_error *error) {
    uint32_t T = rows->T < 96 ? (uint32_t)rows->T : 96;
    pair *all = pf_calloc((size_t)T * (T + 1) / 2, sizeof *all, "the pairs", error);
    if (!all) return 0;
    size_t n = 0;
    for (uint32_t t = 0; t < T; t++)
        for (uint32_t j = 0; j <= t; j++) all[n++] = make_pair(rows, layer, head, t, j);
    qsort(all, n, sizeof *all, by_z);
    if (n > MOST_PAIRS) n = MOST_PAIRS;
    memcpy(pairs, all, n * sizeof *pairs);
    pf_free(all);
    return n;
}

static double mean_z(const pair *pairs, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += pairs[i].z;
    return n ? sum / (double)n : 0;
}

/* The sum over the pairs of (estimate / exp(x.y) - 1)^2; x, y [n, D] are inputs of the features. */
static double kernel_error(const pf_head_features *f, const pair *pairs, size_t n, const float *x,
                           const float *y, float *phi_q, float *phi_k, float *scales,
                           float *scratch) {
    size_t D = f->k[0].D, M = f->k[0].M;
    pf_features_apply(&f->q[0], x, D, n, phi_q, scales, scratch);
    pf_features_apply(&f->k[0], y, D, n, phi_k, scales + n, scratch);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double dot = 0;
        for (size_t m = 0; m < M; m++) dot += (double)phi_q[i * M + m] * (double)phi_k[i * M + m];
        double ratio = dot * exp((double)scales[i] + (double)scales[n + i] - pairs[i].xy);
        sum += (ratio - 1) * (ratio - 1);
    }
    return sum;
}

/* Working memory, enough for the largest number of features. */
typedef struct kernel_buffers {
    float *x, *y, *phi_q, *phi_k, *scales, *scratch;
    double *draw;
} kernel_buffers;

static bool measure_size(feature_error *e, const qkv_rows *rows, const pair *pairs,
                         kernel_buffers *b, size_t size, pf_error *error) {
    pf_layer *uncalibrated = pf_calloc(e->layer + 1, sizeof *uncalibrated, "features", error);
    if (!uncalibrated) return false;
    /* x and y are scaled already, so the features must not scale them again */
    pf_model bare = {.n_heads = 1,
                     .n_kv_heads = 1,
                     .head_dim = rows->model->head_dim,
                     .attention_scale = 1,
                     .layers = uncalibrated};
    pf_attention_config config = {.model = &bare, .options = pf_attention_options_default()};
    config.options.projection = PF_PROJECTION_IID;
    pf_head_features features;
    uint32_t M = (uint32_t)e->sizes[size];
    bool good = pf_head_features_new(&features, &config, e->layer, 0, M, error);
    double sum = 0, variance = 0;
    for (uint32_t draw = 0; good && draw < KERNEL_DRAWS; draw++) {
        pf_head_features_draw(&features, &config, e->layer, 0, draw, b->draw);
        sum += kernel_error(&features, pairs, e->n_pairs, b->x, b->y, b->phi_q, b->phi_k, b->scales,
                            b->scratch);
    }
    pf_free(uncalibrated);
    if (!good) return false;
    for (size_t i = 0; i < e->n_pairs; i++) variance += expm1(pairs[i].z) / M;
    e->measured[size] = sqrt(sum / KERNEL_DRAWS / (double)e->n_pairs);
    e->predicted[size] = sqrt(variance / (double)e->n_pairs);
    pf_head_features_free(&features);
    return true;
}

/* Chooses the head whose easiest pairs have the smallest mean Z. */
static bool choose_head(feature_error *e, const qkv_rows *rows, pair *best, pf_error *error) {
    const pf_model *m = rows->model;
    pair pairs[MOST_PAIRS];
    e->z = INFINITY;
    for (size_t i = 0; i < e->n_layers; i++)
        for (uint32_t h = 0; h < m->n_heads; h++) {
            size_t n = choose_pairs(rows, e->layers[i], h, pairs, error);
            if (n == 0) return false;
            double z = mean_z(pairs, n);
            if (z >= e->z) continue;
            e->z = z;
            e->layer = e->layers[i];
            e->head = h;
            e->n_pairs = n;
            memcpy(best, pairs, n * sizeof *best);
        }
    return true;
}

static bool measure_kernel(feature_error *e, const qkv_rows *rows, pf_error *error) {
    const pf_model *m = rows->model;
    size_t D = m->head_dim, most = (size_t)e->sizes[FEATURE_SIZES - 1];
    pair pairs[MOST_PAIRS] = {0};
    if (D > MOST_DIMS) return true;
    if (!choose_head(e, rows, pairs, error)) return false;
    size_t n = e->n_pairs, floats = 2 * n * D + 2 * n * most + 2 * n;
    kernel_buffers b = {0};
    b.x = pf_calloc(floats + pf_features_scratch(D, most, n), sizeof(float), "features", error);
    b.draw = pf_calloc(D, D * sizeof(double), "features", error);
    bool good = b.x && b.draw;
    b.y = good ? b.x + n * D : NULL;
    b.phi_q = good ? b.y + n * D : NULL;
    b.phi_k = good ? b.phi_q + n * most : NULL;
    b.scales = good ? b.phi_k + n * most : NULL;
    b.scratch = good ? b.scales + 2 * n : NULL;
    for (size_t i = 0; good && i < n; i++) {
        qkv_rows_x(rows, e->layer, e->head, pairs[i].t, b.x + i * D);
        qkv_rows_y(rows, e->layer, e->head / (m->n_heads / m->n_kv_heads), pairs[i].j, b.y + i * D);
    }
    for (size_t size = 0; good && size < FEATURE_SIZES; size++)
        good = measure_size(e, rows, pairs, &b, size, error);
    pf_free(b.x);
    pf_free(b.draw);
    return good;
}

bool feature_error_measure(feature_error *e, const qkv_rows *rows,
                           const pf_session_options *softmax, const pf_session_options *favor,
                           pf_error *error) {
    const pf_model *model = rows->model;
    *e = (feature_error){.n_layers =
                             model->n_layers < FEATURE_LAYERS ? model->n_layers : FEATURE_LAYERS};
    for (size_t i = 0; i < FEATURE_SIZES; i++) e->sizes[i] = (double)(16u << i);
    for (size_t i = 0; i < e->n_layers; i++)
        e->layers[i] =
            e->n_layers > 1 ? (uint32_t)(i * (model->n_layers - 1) / (e->n_layers - 1)) : 0;
    measuring m = {.e = e, .rows = rows};
    m.width = rows->T * model->n_heads * model->head_dim;
    m.exact = pf_calloc(e->n_layers, m.width * sizeof(float), "the exact rows", error);
    m.out = pf_calloc(m.width, sizeof(float), "the rows", error);
    bool good = m.exact && m.out && measure_output(&m, softmax, favor, error) &&
                measure_kernel(e, rows, error);
    pf_free(m.exact);
    pf_free(m.out);
    return good;
}
