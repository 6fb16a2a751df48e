/* floor 2.5 - exact targets: exact attention of one layer's heads, over all calibration texts. */
#include "exact_targets.h"

#include "attention_exact.h"
#include "carve.h"
#include "kernels.h"
#include "memory.h"
#include "rope.h"
#include "threads.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 64 }; /* queries computed together */

/* ---- memory ---- */

static pf_partial carve_partial(pf_carve *carve, size_t rows, size_t H, size_t D) {
    pf_partial part;
    part.out = pf_carve_floats(carve, rows * H * D);
    part.den = pf_carve_floats(carve, rows * H);
    part.log_scale = pf_carve_floats(carve, rows * H);
    return part;
}

/* Up to BLOCK queries of one query head in a text, and the keys and values of its KV head. */
typedef struct block {
    size_t text, head, kv_head;
    size_t p, n;                /* positions p ... p + n - 1 of the text */
    float *k, *v;               /* [tokens of the text, D] keys after RoPE, values */
    float *q, *q_sink, *scores; /* [BLOCK, D] queries as window and sinks see them; scratch */
    pf_partial part;            /* [BLOCK] what the bands so far add up to */
} block;

/* Carves a block's arrays from memory; returns how many floats they take. NULL: only counts. */
static size_t lay_out_block(block *b, float *memory, size_t n_keys, size_t D) {
    pf_carve carve = {.memory = memory};
    b->k = pf_carve_floats(&carve, n_keys * D);
    b->v = pf_carve_floats(&carve, n_keys * D);
    b->q = pf_carve_floats(&carve, BLOCK * D);
    b->q_sink = pf_carve_floats(&carve, BLOCK * D);
    b->part = carve_partial(&carve, BLOCK, 1, D);
    b->scores = pf_carve_floats(&carve, pf_exact_scratch(BLOCK, D));
    return carve.used;
}

static void choose_measured(pf_exact_targets *e) {
    for (size_t i = 0; i < e->measure.n_texts; i++) {
        size_t first = e->w->first[i], n = e->w->first[i + 1] - first;
        size_t rows = n < e->measure.per_text ? n : e->measure.per_text;
        for (size_t r = 0; r < rows; r++)
            e->measured_row[e->n_measured++] = first + (r * n + n / 2) / rows;
        e->measured_first[i + 1] = e->n_measured;
    }
}

/* Carves target, part and measured from memory, likewise. */
static size_t lay_out(pf_exact_targets *e, float *memory) {
    size_t rows = e->w->n_rows;
    pf_carve carve = {.memory = memory};
    e->target = pf_carve_floats(&carve, rows * e->H * e->D);
    e->part = carve_partial(&carve, rows, e->H, e->D);
    for (size_t i = 0; i < e->measure.n_windows; i++)
        e->measured[i] = carve_partial(&carve, e->n_measured, e->H, e->D);
    return carve.used;
}

static bool allocate(pf_exact_targets *e, pf_error *error) {
    const char *what = "the attention over the calibration texts (give fewer texts)";
    size_t most = e->measure.n_texts * e->measure.per_text;
    block counted;
    e->scratch_floats = lay_out_block(&counted, NULL, e->w->longest, e->D);
    const pf_model *model = e->w->model;
    e->angles = pf_rotary_table((pf_rotary){.base = model->rope_base,
                                            .factors = pf_model_rope_factors(model, e->w->longest),
                                            .dim = (uint32_t)(2 * e->pairs)},
                                e->w->longest, error);
    e->scratch = pf_calloc((size_t)e->n_threads, e->scratch_floats * sizeof(float), what, error);
    e->windows = pf_calloc(e->KV, sizeof *e->windows, what, error);
    e->outside = pf_calloc(e->KV, sizeof *e->outside, what, error);
    e->outside_of = pf_calloc(e->w->n_texts, e->KV * sizeof *e->outside_of, what, error);
    e->measured_row = pf_calloc(most, sizeof *e->measured_row, what, error);
    e->measured_first = pf_calloc(e->measure.n_texts + 1, sizeof *e->measured_first, what, error);
    e->measured = pf_calloc(e->measure.n_windows, sizeof *e->measured, what, error);
    if (!e->angles || !e->scratch || !e->windows || !e->outside || !e->outside_of ||
        !e->measured_row || !e->measured_first || !e->measured)
        return false;
    choose_measured(e);
    e->memory = pf_calloc(lay_out(e, NULL), sizeof(float), what, error);
    if (e->memory) lay_out(e, e->memory);
    return e->memory != NULL;
}

pf_exact_targets *pf_exact_targets_new(const pf_layerwise *w, size_t sinks,
                                       const pf_measured_rows *measure, int n_threads,
                                       pf_error *error) {
    pf_exact_targets *e = pf_calloc(1, sizeof *e, "a calibration", error);
    if (!e) return NULL;
    const pf_model *model = w->model;
    e->w = w;
    e->H = model->n_heads;
    e->KV = model->n_kv_heads;
    e->G = e->H / e->KV;
    e->D = model->head_dim;
    e->sinks = sinks;
    e->n_threads = n_threads;
    if (measure) e->measure = *measure;
    if (e->measure.n_texts > w->n_texts) e->measure.n_texts = w->n_texts;
    e->pairs = pf_position_rotates(model->position) ? model->rope_dim / 2 : 0;
    if (allocate(e, error)) return e;
    pf_exact_targets_free(e);
    return NULL;
}

void pf_exact_targets_free(pf_exact_targets *e) {
    if (!e) return;
    pf_free(e->angles);
    pf_free(e->memory);
    pf_free(e->scratch);
    pf_free(e->windows);
    pf_free(e->outside);
    pf_free(e->outside_of);
    pf_free(e->measured_row);
    pf_free(e->measured_first);
    pf_free(e->measured);
    pf_free(e);
}

/* ---- rows ---- */

static void rotate(const pf_exact_targets *e, size_t position, float *x) {
    if (e->pairs > 0 && !e->w->model->layers[e->w->layer].unrotated)
        pf_rope_turn(e->w->model->position, e->pairs, e->angles + position * 2 * e->pairs, x,
                     false);
}

/* Copies n rows of one head, `stride` floats apart, from position p of their text on. */
static void copy_rows(const pf_exact_targets *e, const float *rows, size_t stride, size_t p,
                      size_t n, bool rotated, float scale, float *out) {
    const pf_kernels *kernels = pf_kernels_get();
    for (size_t t = 0; t < n; t++) {
        memcpy(out + t * e->D, rows + t * stride, e->D * sizeof *out);
        if (rotated) rotate(e, p + t, out + t * e->D);
        if (scale != 1) kernels->scale(out + t * e->D, scale, e->D);
    }
}

void pf_exact_targets_queries(const pf_exact_targets *e, size_t text, size_t head, bool rotated,
                              float scale, float *out) {
    size_t first = e->w->first[text], n = e->w->first[text + 1] - first, stride = e->H * e->D;
    copy_rows(e, e->w->q + first * stride + head * e->D, stride, 0, n, rotated, scale, out);
}

void pf_exact_targets_keys(const pf_exact_targets *e, size_t text, size_t head, bool rotated,
                           float scale, float *out) {
    size_t first = e->w->first[text], n = e->w->first[text + 1] - first, stride = e->KV * e->D;
    copy_rows(e, e->w->k + first * stride + head * e->D, stride, 0, n, rotated, scale, out);
}

/* ---- the walk ---- */

/* Rows [first, end) of rows [., D]. */
static pf_matrix rows_between(const float *rows, size_t first, size_t end, size_t D) {
    return (pf_matrix){PF_F32, end - first, D, rows + first * D};
}

/* Adds the keys at a distance of `from` (inclusive) to `to` (exclusive) tokens, sinks excepted. */
static void add_band(const pf_exact_targets *e, block *b, size_t from, size_t to) {
    size_t S = e->sinks, end = b->p + b->n;
    if (end <= S) return;
    if (to > end) to = end;
    if (from >= to) return;
    ptrdiff_t origin = (ptrdiff_t)b->p + 1 - (ptrdiff_t)S;
    pf_exact_rows(b->q, b->n, rows_between(b->k, S, end, e->D), rows_between(b->v, S, end, e->D),
                  origin - (ptrdiff_t)to, origin - (ptrdiff_t)from, pf_model_score(e->w->model),
                  b->scores, b->part);
}

static void save_row(const pf_exact_targets *e, const block *b, size_t t, const pf_partial *to,
                     size_t row) {
    size_t at = row * e->H + b->head;
    memcpy(to->out + at * e->D, b->part.out + t * e->D, e->D * sizeof *to->out);
    to->den[at] = b->part.den[t];
    to->log_scale[at] = b->part.log_scale[t];
}

static void save_measured(const pf_exact_targets *e, const block *b, size_t window) {
    if (b->text >= e->measure.n_texts) return;
    size_t first = e->w->first[b->text] + b->p;
    for (size_t i = e->measured_first[b->text]; i < e->measured_first[b->text + 1]; i++)
        if (e->measured_row[i] >= first && e->measured_row[i] < first + b->n)
            save_row(e, b, e->measured_row[i] - first, &e->measured[window], i);
}

/* Stores the target of whole rows; returns the sum of their shares outside sinks and window. */
static double save_target(const pf_exact_targets *e, const block *b) {
    const pf_kernels *kernels = pf_kernels_get();
    double outside = 0;
    for (size_t t = 0; t < b->n; t++) {
        size_t row = e->w->first[b->text] + b->p + t, at = row * e->H + b->head;
        float *target = e->target + at * e->D;
        memcpy(target, b->part.out + t * e->D, e->D * sizeof *target);
        kernels->scale(target, 1 / b->part.den[t], e->D);
        if (e->part.den[at] > 0)
            outside += 1 - (double)(e->part.den[at] / b->part.den[t] *
                                    expf(e->part.log_scale[at] - b->part.log_scale[t]));
        else
            outside += 1;
    }
    return outside;
}

static double walk_block(const pf_exact_targets *e, block *b) {
    size_t D = e->D, S = e->sinks, stride = e->H * D, seen = 0, i = 0;
    const float *q = e->w->q + (e->w->first[b->text] + b->p) * stride + b->head * D;
    size_t context = e->w->model->context, own_window = e->windows[b->kv_head];
    copy_rows(e, q, stride, b->p, b->n, true, 1, b->q);
    memset(b->part.out, 0, b->n * D * sizeof(float));
    memset(b->part.den, 0, b->n * sizeof(float));
    for (size_t t = 0; t < b->n; t++) b->part.log_scale[t] = -INFINITY;
    if (S > 0) { /* sinks seem no further away than the trained context (attention_head.h) */
        copy_rows(e, q, stride, b->p, b->n, false, 1, b->q_sink);
        for (size_t t = 0; t < b->n; t++)
            rotate(e, b->p + t < context ? b->p + t : context - 1, b->q_sink + t * D);
        size_t end = b->p + b->n < S ? b->p + b->n : S;
        pf_exact_rows(b->q_sink, b->n, rows_between(b->k, 0, end, D), rows_between(b->v, 0, end, D),
                      -(ptrdiff_t)b->n, (ptrdiff_t)b->p + 1, pf_model_score(e->w->model), b->scores,
                      b->part);
    }
    /* the measured windows and the head's own one, in ascending order */
    for (bool window_is_done = false; i < e->measure.n_windows || !window_is_done;) {
        bool measured =
            i < e->measure.n_windows && (window_is_done || e->measure.windows[i] <= own_window);
        size_t window = measured ? e->measure.windows[i] : own_window;
        add_band(e, b, seen, window);
        seen = window;
        if (measured) {
            save_measured(e, b, i++);
        } else {
            for (size_t t = 0; t < b->n; t++)
                save_row(e, b, t, &e->part, e->w->first[b->text] + b->p + t);
            window_is_done = true;
        }
    }
    add_band(e, b, seen, SIZE_MAX);
    return save_target(e, b);
}

/* All queries of one KV head in one text; returns the sum of the shares outside. */
static double walk_head(const pf_exact_targets *e, size_t text, size_t kv_head, float *scratch) {
    size_t D = e->D, first = e->w->first[text], n = e->w->first[text + 1] - first;
    size_t stride = e->KV * D;
    block b = {.text = text, .kv_head = kv_head};
    lay_out_block(&b, scratch, n, D);
    copy_rows(e, e->w->k + first * stride + kv_head * D, stride, 0, n, true, 1, b.k);
    copy_rows(e, e->w->v + first * stride + kv_head * D, stride, 0, n, false, 1, b.v);
    double outside = 0;
    for (size_t g = 0; g < e->G; g++)
        for (b.p = 0; b.p < n; b.p += BLOCK) {
            b.head = kv_head * e->G + g;
            b.n = n - b.p < BLOCK ? n - b.p : BLOCK;
            outside += walk_block(e, &b);
        }
    return outside;
}

static void walk_share(void *context, pf_member me) {
    const pf_exact_targets *e = context;
    size_t begin, end;
    pf_share(me, e->w->n_texts * e->KV, 1, &begin, &end);
    float *scratch = e->scratch + (size_t)me.index * e->scratch_floats;
    for (size_t i = begin; i < end; i++)
        e->outside_of[i] = walk_head(e, i / e->KV, i % e->KV, scratch);
}

void pf_exact_targets_walk(pf_exact_targets *e) {
    pf_parallel(e->n_threads, walk_share, e);
    for (size_t k = 0; k < e->KV; k++) {
        e->outside[k] = 0;
        for (size_t i = 0; i < e->w->n_texts; i++) e->outside[k] += e->outside_of[i * e->KV + k];
        e->outside[k] /= (double)(e->w->n_rows * e->G);
    }
}
