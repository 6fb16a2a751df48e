/* floor 2.5 - layer heads: what the heads of one layer see exactly, over all texts of a calibration. */
#include "exact_targets.h"

#include "attention_exact.h"
#include "carve.h"
#include "kernels.h"
#include "memory.h"
#include "rope.h"
#include "threads.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 64 }; /* queries that are taken together */

/* ---- memory ---- */

static pf_partial carve_partial(pf_carve *carve, size_t rows, size_t H, size_t D) {
    pf_partial part;
    part.out = pf_carve_floats(carve, rows * H * D);
    part.den = pf_carve_floats(carve, rows * H);
    part.scale = pf_carve_floats(carve, rows * H);
    return part;
}

/* Up to BLOCK queries of one query head, and the keys and values of its KV head in the same text. */
typedef struct block {
    size_t text, head, kv_head;
    size_t p, n;                /* positions p ... p + n - 1 of the text */
    float *k, *v;               /* [tokens of the text, D] keys after RoPE, values */
    float *q, *q_sink, *scores; /* [BLOCK, D] queries as window and sinks see them; scratch */
    pf_partial part;            /* [BLOCK] what the bands so far add up to */
} block;

/* Carves a block's arrays from memory and returns how many floats they take. With memory NULL it only
 * counts. */
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

static void choose_measured(pf_exact_targets *h) {
    for (size_t i = 0; i < h->measure.n_texts; i++) {
        size_t first = h->w->first[i], n = h->w->first[i + 1] - first;
        size_t rows = n < h->measure.per_text ? n : h->measure.per_text;
        for (size_t r = 0; r < rows; r++)
            h->measured_row[h->n_measured++] = first + (r * n + n / 2) / rows;
        h->measured_first[i + 1] = h->n_measured;
    }
}

/* Carves target, part and measured from memory and returns how many floats they take. With memory NULL
 * it only counts. */
static size_t lay_out(pf_exact_targets *h, float *memory) {
    size_t rows = h->w->n_rows;
    pf_carve carve = {.memory = memory};
    h->target = pf_carve_floats(&carve, rows * h->H * h->D);
    h->part = carve_partial(&carve, rows, h->H, h->D);
    for (size_t i = 0; i < h->measure.n_windows; i++)
        h->measured[i] = carve_partial(&carve, h->n_measured, h->H, h->D);
    return carve.used;
}

static bool allocate(pf_exact_targets *h, pf_error *error) {
    const char *what = "what the heads see of the calibration texts (fewer texts help)";
    size_t most = h->measure.n_texts * h->measure.per_text;
    block counted;
    h->scratch_floats = lay_out_block(&counted, NULL, h->w->longest, h->D);
    h->angles = pf_calloc(h->w->longest, 2 * h->pairs * sizeof(float), "rotary angles", error);
    h->scratch = pf_calloc((size_t)h->n_threads, h->scratch_floats * sizeof(float), what, error);
    h->windows = pf_calloc(h->KV, sizeof *h->windows, what, error);
    h->outside = pf_calloc(h->KV, sizeof *h->outside, what, error);
    h->outside_of = pf_calloc(h->w->n_texts, h->KV * sizeof *h->outside_of, what, error);
    h->measured_row = pf_calloc(most, sizeof *h->measured_row, what, error);
    h->measured_first = pf_calloc(h->measure.n_texts + 1, sizeof *h->measured_first, what, error);
    h->measured = pf_calloc(h->measure.n_windows, sizeof *h->measured, what, error);
    if (!h->angles || !h->scratch || !h->windows || !h->outside || !h->outside_of ||
        !h->measured_row || !h->measured_first || !h->measured)
        return false;
    choose_measured(h);
    h->memory = pf_calloc(lay_out(h, NULL), sizeof(float), what, error);
    if (h->memory) lay_out(h, h->memory);
    return h->memory != NULL;
}

pf_exact_targets *pf_exact_targets_new(const pf_layerwise *w, size_t sinks,
                                       const pf_measured_rows *measure, int n_threads,
                                       pf_error *error) {
    pf_exact_targets *h = pf_calloc(1, sizeof *h, "a calibration", error);
    if (!h) return NULL;
    const pf_model *model = w->model;
    h->w = w;
    h->H = model->n_heads;
    h->KV = model->n_kv_heads;
    h->G = h->H / h->KV;
    h->D = model->head_dim;
    h->sinks = sinks;
    h->n_threads = n_threads;
    if (measure) h->measure = *measure;
    if (h->measure.n_texts > w->n_texts) h->measure.n_texts = w->n_texts;
    h->pairs = pf_position_rotates(model->position) ? model->rope_dim / 2 : 0;
    double *frequency = pf_calloc(h->pairs, sizeof *frequency, "rotary angles", error);
    if (!frequency || !allocate(h, error)) {
        pf_free(frequency);
        pf_exact_targets_free(h);
        return NULL;
    }
    pf_rope_frequencies(model->rope_base, model->rope_factors, 2 * h->pairs, frequency);
    for (size_t p = 0; p < w->longest; p++)
        pf_rope_angles(frequency, h->pairs, p, h->angles + p * 2 * h->pairs);
    pf_free(frequency);
    return h;
}

void pf_exact_targets_free(pf_exact_targets *h) {
    if (!h) return;
    pf_free(h->angles);
    pf_free(h->memory);
    pf_free(h->scratch);
    pf_free(h->windows);
    pf_free(h->outside);
    pf_free(h->outside_of);
    pf_free(h->measured_row);
    pf_free(h->measured_first);
    pf_free(h->measured);
    pf_free(h);
}

/* ---- rows ---- */

static void turn(const pf_exact_targets *h, size_t position, float *x) {
    if (h->pairs > 0)
        pf_rope_turn(h->w->model->position, h->pairs, h->angles + position * 2 * h->pairs, x,
                     false);
}

/* n rows of one head, `stride` floats apart, from position p of their text. */
static void take(const pf_exact_targets *h, const float *rows, size_t stride, size_t p, size_t n,
                 bool turned, float scale, float *out) {
    const pf_kernels *kernels = pf_kernels_get();
    for (size_t t = 0; t < n; t++) {
        memcpy(out + t * h->D, rows + t * stride, h->D * sizeof *out);
        if (turned) turn(h, p + t, out + t * h->D);
        if (scale != 1) kernels->scale(out + t * h->D, scale, h->D);
    }
}

void pf_exact_targets_queries(const pf_exact_targets *h, size_t text, size_t head, bool turned,
                              float scale, float *out) {
    size_t first = h->w->first[text], n = h->w->first[text + 1] - first, stride = h->H * h->D;
    take(h, h->w->q + first * stride + head * h->D, stride, 0, n, turned, scale, out);
}

void pf_exact_targets_keys(const pf_exact_targets *h, size_t text, size_t head, bool turned,
                           float scale, float *out) {
    size_t first = h->w->first[text], n = h->w->first[text + 1] - first, stride = h->KV * h->D;
    take(h, h->w->k + first * stride + head * h->D, stride, 0, n, turned, scale, out);
}

/* ---- the walk ---- */

/* Rows [first, end) of rows [., D]. */
static pf_matrix rows_between(const float *rows, size_t first, size_t end, size_t D) {
    return (pf_matrix){PF_F32, end - first, D, rows + first * D};
}

/* Adds the keys (not sinks) that are at least `from` and less than `to` tokens back. */
static void add_band(const pf_exact_targets *h, block *b, size_t from, size_t to) {
    size_t S = h->sinks, end = b->p + b->n;
    if (end <= S) return;
    if (to > end) to = end;
    if (from >= to) return;
    ptrdiff_t origin = (ptrdiff_t)b->p + 1 - (ptrdiff_t)S;
    pf_exact_rows(b->q, b->n, rows_between(b->k, S, end, h->D), rows_between(b->v, S, end, h->D),
                  origin - (ptrdiff_t)to, origin - (ptrdiff_t)from, h->w->model->attention_scale,
                  b->scores, b->part);
}

static void save_row(const pf_exact_targets *h, const block *b, size_t t, const pf_partial *to,
                     size_t row) {
    size_t at = row * h->H + b->head;
    memcpy(to->out + at * h->D, b->part.out + t * h->D, h->D * sizeof *to->out);
    to->den[at] = b->part.den[t];
    to->scale[at] = b->part.scale[t];
}

static void save_measured(const pf_exact_targets *h, const block *b, size_t window) {
    if (b->text >= h->measure.n_texts) return;
    size_t first = h->w->first[b->text] + b->p;
    for (size_t i = h->measured_first[b->text]; i < h->measured_first[b->text + 1]; i++)
        if (h->measured_row[i] >= first && h->measured_row[i] < first + b->n)
            save_row(h, b, h->measured_row[i] - first, &h->measured[window], i);
}

/* The whole row: the target, and how much of it the kept part has. */
static double save_target(const pf_exact_targets *h, const block *b) {
    const pf_kernels *kernels = pf_kernels_get();
    double outside = 0;
    for (size_t t = 0; t < b->n; t++) {
        size_t row = h->w->first[b->text] + b->p + t, at = row * h->H + b->head;
        float *target = h->target + at * h->D;
        memcpy(target, b->part.out + t * h->D, h->D * sizeof *target);
        kernels->scale(target, 1 / b->part.den[t], h->D);
        if (h->part.den[at] > 0)
            outside += 1 - (double)(h->part.den[at] / b->part.den[t] *
                                    expf(h->part.scale[at] - b->part.scale[t]));
        else
            outside += 1;
    }
    return outside;
}

static double walk_block(const pf_exact_targets *h, block *b) {
    size_t D = h->D, S = h->sinks, stride = h->H * D, seen = 0, i = 0;
    const float *q = h->w->q + (h->w->first[b->text] + b->p) * stride + b->head * D;
    size_t context = h->w->model->context, kept = h->windows[b->kv_head];
    take(h, q, stride, b->p, b->n, true, 1, b->q);
    memset(b->part.out, 0, b->n * D * sizeof(float));
    memset(b->part.den, 0, b->n * sizeof(float));
    for (size_t t = 0; t < b->n; t++) b->part.scale[t] = -INFINITY;
    if (S > 0) { /* beyond the trained context a sink stays as far as that (attention_head.h) */
        take(h, q, stride, b->p, b->n, false, 1, b->q_sink);
        for (size_t t = 0; t < b->n; t++)
            turn(h, b->p + t < context ? b->p + t : context - 1, b->q_sink + t * D);
        size_t end = b->p + b->n < S ? b->p + b->n : S;
        pf_exact_rows(b->q_sink, b->n, rows_between(b->k, 0, end, D), rows_between(b->v, 0, end, D),
                      -(ptrdiff_t)b->n, (ptrdiff_t)b->p + 1, h->w->model->attention_scale,
                      b->scores, b->part);
    }
    /* the windows to be measured and the one that is kept, in rising order */
    for (bool kept_is_done = false; i < h->measure.n_windows || !kept_is_done;) {
        bool measured = i < h->measure.n_windows && (kept_is_done || h->measure.windows[i] <= kept);
        size_t window = measured ? h->measure.windows[i] : kept;
        add_band(h, b, seen, window);
        seen = window;
        if (measured) {
            save_measured(h, b, i++);
        } else {
            for (size_t t = 0; t < b->n; t++)
                save_row(h, b, t, &h->part, h->w->first[b->text] + b->p + t);
            kept_is_done = true;
        }
    }
    add_band(h, b, seen, SIZE_MAX);
    return save_target(h, b);
}

/* All queries of one KV head in one text; returns the sum of shares outside. */
static double walk_head(const pf_exact_targets *h, size_t text, size_t kv_head, float *scratch) {
    size_t D = h->D, first = h->w->first[text], n = h->w->first[text + 1] - first;
    size_t stride = h->KV * D;
    block b = {.text = text, .kv_head = kv_head};
    lay_out_block(&b, scratch, n, D);
    take(h, h->w->k + first * stride + kv_head * D, stride, 0, n, true, 1, b.k);
    take(h, h->w->v + first * stride + kv_head * D, stride, 0, n, false, 1, b.v);
    double outside = 0;
    for (size_t g = 0; g < h->G; g++)
        for (b.p = 0; b.p < n; b.p += BLOCK) {
            b.head = kv_head * h->G + g;
            b.n = n - b.p < BLOCK ? n - b.p : BLOCK;
            outside += walk_block(h, &b);
        }
    return outside;
}

static void walk_share(void *context, pf_member me) {
    const pf_exact_targets *h = context;
    size_t begin, end;
    pf_share(me, h->w->n_texts * h->KV, 1, &begin, &end);
    float *scratch = h->scratch + (size_t)me.index * h->scratch_floats;
    for (size_t i = begin; i < end; i++)
        h->outside_of[i] = walk_head(h, i / h->KV, i % h->KV, scratch);
}

void pf_exact_targets_walk(pf_exact_targets *h) {
    pf_parallel(h->n_threads, walk_share, h);
    for (size_t k = 0; k < h->KV; k++) {
        h->outside[k] = 0;
        for (size_t i = 0; i < h->w->n_texts; i++) h->outside[k] += h->outside_of[i * h->KV + k];
        h->outside[k] /= (double)(h->w->n_rows * h->G);
    }
}
