/* floor 5.4 - layer error: how far a session's layers are from a reference's, measured by taps. */
#include "layer_error.h"

#include "memory.h"
#include "resources.h"

#include <math.h>
#include <string.h>

double relative_error(double difference, double reference) {
    return reference > 0 ? sqrt(difference / reference) : 0;
}

bool layer_rows_new(layer_rows *rows, const pf_model *model, size_t capacity, pf_error *error) {
    *rows = (layer_rows){.n_layers = model->n_layers, .width = model->width, .capacity = capacity};
    size_t floats = rows->n_layers * capacity;
    rows->attention = pf_calloc(floats, rows->width * sizeof(float), "the layers' rows", error);
    rows->residual = pf_calloc(floats, rows->width * sizeof(float), "the layers' rows", error);
    return rows->attention && rows->residual;
}

void layer_rows_free(layer_rows *rows) {
    pf_free(rows->attention);
    pf_free(rows->residual);
    *rows = (layer_rows){0};
}

bool head_z_new(head_z *z, const pf_model *model, size_t context, size_t capacity,
                pf_error *error) {
    *z = (head_z){.model = model, .context = context};
    size_t D = model->head_dim, L = model->n_layers, HD = model->n_heads * D;
    size_t rotary = pf_position_rotates(model->position) ? model->rope_dim / 2 : 0;
    size_t kv = L * model->n_kv_heads;
    z->memory = pf_calloc(rotary + kv * D + kv + L * model->n_heads + L, sizeof(double),
                          "the heads' norms", error);
    z->angles = pf_calloc(2 * rotary + capacity * HD, sizeof(float), "the heads' norms", error);
    if (!z->memory || !z->angles) return false;
    z->q = z->angles + 2 * rotary;
    z->frequency = z->memory;
    z->y_sum = z->frequency + rotary;
    z->y_squares = z->y_sum + kv * D;
    z->z_sum = z->y_squares + kv;
    z->pairs = z->z_sum + L * model->n_heads;
    return true;
}

void head_z_free(head_z *z) {
    pf_free(z->memory);
    pf_free(z->angles);
    *z = (head_z){0};
}

double head_z_get(const head_z *z, uint32_t layer, uint32_t head) {
    return z->pairs[layer] > 0 ? z->z_sum[layer * z->model->n_heads + head] / z->pairs[layer] : 0;
}

static void reset_sums(head_z *z, uint32_t layer) {
    size_t D = z->model->head_dim, n = z->model->n_kv_heads;
    memset(z->y_sum + layer * n * D, 0, n * D * sizeof *z->y_sum);
    memset(z->y_squares + layer * n, 0, n * sizeof *z->y_squares);
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Rotates the heads of one token to its position. */
static void rotate_heads(const head_z *z, pf_rotary rotary, float *heads, size_t n_heads) {
    const pf_model *m = z->model;
    for (size_t h = 0; h < n_heads && rotary.dim > 0; h++)
        pf_rope_turn(m->position, rotary.dim / 2, z->angles, heads + h * m->head_dim, false);
}

/* Adds the key of one KV head to the sums. */
static void add_key(head_z *z, size_t kv, const float *k) {
    size_t D = z->model->head_dim;
    for (size_t d = 0; d < D; d++) z->y_sum[kv * D + d] += (double)k[d];
    z->y_squares[kv] += dot(k, k, D);
}

/* sum_j |q + k_j|^2 over the n keys so far, without the scale. */
static double pair_sum(const head_z *z, size_t kv, const float *q, double n) {
    size_t D = z->model->head_dim;
    double cross = 0;
    for (size_t d = 0; d < D; d++) cross += (double)q[d] * z->y_sum[kv * D + d];
    return n * dot(q, q, D) + 2 * cross + z->y_squares[kv];
}

/* Pairs keys k [n, n_kv_heads, D] of positions first, first + 1, ... with the queries kept. */
static void add_tokens(head_z *z, uint32_t layer, size_t first, const float *k, size_t n) {
    const pf_model *m = z->model;
    size_t D = m->head_dim, H = m->n_heads, KV = m->n_kv_heads;
    float key[1024];
    if (D > sizeof key / sizeof key[0]) return;
    pf_rotary rotary = pf_model_rotary(m, layer, z->context);
    pf_rope_frequencies(rotary.base, rotary.factors, rotary.dim, z->frequency);
    for (size_t t = 0; t < n; t++) {
        float *q = z->q + t * H * D;
        pf_rope_angles(z->frequency, rotary.dim / 2, first + t, z->angles);
        rotate_heads(z, rotary, q, H);
        for (size_t h = 0; h < KV; h++) {
            memcpy(key, k + (t * KV + h) * D, D * sizeof *key);
            rotate_heads(z, rotary, key, 1);
            add_key(z, layer * KV + h, key);
        }
        double seen = (double)(first + t + 1);
        for (size_t h = 0; h < H; h++)
            z->z_sum[layer * H + h] +=
                (double)m->attention_scale * pair_sum(z, layer * KV + h * KV / H, q + h * D, seen);
        z->pairs[layer] += seen;
    }
}

static void watch_z(head_z *z, pf_tap_point point, uint32_t layer, size_t first, const float *rows,
                    size_t n, size_t cols) {
    if (point == PF_TAP_Q) {
        if (first == 0) reset_sums(z, layer);
        memcpy(z->q, rows, n * cols * sizeof *rows);
    } else if (point == PF_TAP_K) {
        add_tokens(z, layer, first, rows, n);
    }
}

static double squares(const float *x, size_t n) { return dot(x, x, n); }

static double squared_distance(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sum;
}

static void compare_rows(layer_error *e, bool attention, const float *reference, const float *rows,
                         size_t n) {
    double difference = squared_distance(rows, reference, n), total = squares(reference, n);
    if (attention) {
        e->attention_difference += difference;
        e->attention_reference += total;
    } else {
        e->residual_difference += difference;
        e->residual_reference += total;
    }
}

void layer_watch_tap(void *watch, pf_tap_point point, uint32_t layer, size_t first,
                     const float *rows, size_t n, size_t cols) {
    layer_watch *w = watch;
    bool attention = point == PF_TAP_ATTENTION_OUTPUT;
    bool keys = w->z && (point == PF_TAP_Q || point == PF_TAP_K);
    if (!keys && !attention && point != PF_TAP_LAYER) return;
    double start = seconds_now();
    if (keys) {
        watch_z(w->z, point, layer, first, rows, n, cols);
    } else {
        layer_rows *kept = w->rows;
        float *base = attention ? kept->attention : kept->residual;
        float *mine = base + (layer * kept->capacity + first - kept->first) * cols;
        if (w->errors)
            compare_rows(&w->errors[layer], attention, mine, rows, n * cols);
        else
            memcpy(mine, rows, n * cols * sizeof *rows);
    }
    w->seconds += seconds_now() - start;
}
