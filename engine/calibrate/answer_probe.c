/* floor 2.7 - answer probe: what a model still answers if some heads see only a window. */
#include "answer_probe.h"

#include "attention_exact.h"
#include "carve.h"
#include "memory.h"
#include "probability.h"
#include "rope.h"
#include "sliding_layers.h"
#include "threads.h"

#include <assert.h>
#include <string.h>

enum { BLOCK = 64 }; /* queries taken together */

struct pf_answer_probe {
    const pf_model *model;
    const pf_recall_text *texts;
    size_t n_texts, sinks, longest;
    size_t *first;       /* [n_texts + 1] where each text's rows begin among those of all texts */
    float *keys;         /* [L, n_rows, n_kv_heads, D], by text and head: [n, D]; rotated */
    float *values;       /* the same */
    size_t cache_floats; /* of keys or values of one layer */
    pf_layerwise *w;     /* the rows of questions and answers */
    uint32_t *settled;   /* [L, n_kv_heads] windows, and under them ... */
    float *inputs;       /* ... [L, w->n_rows, C] the residual stream before each layer */
    double *settled_losses; /* [n_texts] */
    float *angles[2];       /* [longest, 2 pairs] of global and of sliding layers */
    size_t pairs;
    size_t *row;   /* [n_scored] the rows of w whose next token is scored */
    int32_t *next; /* [n_scored] that token */
    size_t *text;  /* [n_scored] its text */
    size_t n_scored;
    float *logits;  /* [n_scored, V] */
    double *nll;    /* [n_scored] */
    float *scratch; /* [n_threads, scratch_floats] */
    size_t scratch_floats;
    int n_threads;
    double *losses, *exact_losses; /* [n_texts] of the last probe; exactly */
    bool *kept;                    /* [n_texts] */
    double exact_loss;
    const uint32_t *windows; /* of the layer being computed [n_kv_heads]; NULL: no limits */
    size_t layer;
};

/* ---- memory ---- */

typedef struct block {
    float *q, *q_sink; /* [BLOCK, D] */
    float *scores;
    pf_partial part; /* [BLOCK] rows */
} block;

static size_t lay_out_block(block *b, float *memory, size_t D) {
    pf_carve carve = {.memory = memory};
    b->q = pf_carve_floats(&carve, BLOCK * D);
    b->q_sink = pf_carve_floats(&carve, BLOCK * D);
    b->scores = pf_carve_floats(&carve, pf_exact_scratch(BLOCK, D));
    b->part.out = pf_carve_floats(&carve, BLOCK * D);
    b->part.den = pf_carve_floats(&carve, BLOCK);
    b->part.log_scale = pf_carve_floats(&carve, BLOCK);
    return carve.used;
}

static size_t stream_floats(const pf_answer_probe *p) { return p->w->n_rows * p->model->width; }

static bool allocate(pf_answer_probe *p, pf_error *error) {
    const char *what = "the recall texts (give fewer or shorter ones)";
    const pf_model *model = p->model;
    size_t L = model->n_layers, rows = p->first[p->n_texts], V = model->n_vocab;
    block ignored;
    p->cache_floats = rows * model->n_kv_heads * model->head_dim;
    p->scratch_floats = lay_out_block(&ignored, NULL, model->head_dim);
    p->keys = pf_calloc(L, p->cache_floats * sizeof *p->keys, what, error);
    p->values = pf_calloc(L, p->cache_floats * sizeof *p->values, what, error);
    p->inputs = pf_calloc(L, stream_floats(p) * sizeof *p->inputs, what, error);
    p->settled = pf_calloc(L, model->n_kv_heads * sizeof *p->settled, what, error);
    p->settled_losses = pf_calloc(p->n_texts, sizeof *p->settled_losses, what, error);
    p->row = pf_calloc(p->w->n_rows, sizeof *p->row, what, error);
    p->next = pf_calloc(p->w->n_rows, sizeof *p->next, what, error);
    p->text = pf_calloc(p->w->n_rows, sizeof *p->text, what, error);
    p->nll = pf_calloc(p->w->n_rows, sizeof *p->nll, what, error);
    p->losses = pf_calloc(p->n_texts, sizeof *p->losses, what, error);
    p->exact_losses = pf_calloc(p->n_texts, sizeof *p->exact_losses, what, error);
    p->kept = pf_calloc(p->n_texts, sizeof *p->kept, what, error);
    p->scratch =
        pf_calloc((size_t)p->n_threads, p->scratch_floats * sizeof *p->scratch, what, error);
    if (!p->keys || !p->values || !p->inputs || !p->settled || !p->settled_losses || !p->row ||
        !p->next || !p->text || !p->nll || !p->losses || !p->exact_losses || !p->kept ||
        !p->scratch)
        return false;
    for (size_t i = 0; i < p->n_texts; i++) {
        const pf_recall_text *text = &p->texts[i];
        for (size_t t = text->answer; t < text->n; t++) {
            size_t before = t - 1 - text->question; /* the row that predicts token t */
            p->row[p->n_scored] = p->w->first[i] + before;
            p->next[p->n_scored] = text->ids[t];
            p->text[p->n_scored++] = i;
        }
    }
    p->logits = pf_calloc(p->n_scored, V * sizeof *p->logits, what, error);
    return p->logits != NULL;
}

static bool check(const pf_recall_text *texts, size_t n_texts, pf_error *error) {
    for (size_t i = 0; i < n_texts; i++)
        if (texts[i].question == 0 || texts[i].question >= texts[i].answer ||
            texts[i].answer >= texts[i].n)
            return pf_fail(error, "recall text %zu has no question or no answer", i + 1);
    return n_texts > 0 || pf_fail(error, "there is no recall text");
}

/* ---- attention of questions and answers ---- */

static float *cached(const pf_answer_probe *p, float *cache, size_t text, size_t kv_head) {
    size_t n = p->texts[text].n, D = p->model->head_dim;
    size_t before = p->first[text] * p->model->n_kv_heads + kv_head * n;
    return cache + p->layer * p->cache_floats + before * D;
}

static void rotate(const pf_answer_probe *p, size_t position, float *x) {
    const float *angles = p->angles[pf_layer_slides(p->model, p->layer)];
    if (p->pairs > 0 && !p->model->layers[p->layer].unrotated)
        pf_rope_turn(p->model->position, p->pairs, angles + position * 2 * p->pairs, x, false);
}

/* Puts rows [first, n) of a text's keys and values, from w, into the cache. */
static void cache_rows(const pf_answer_probe *p, const pf_layerwise *w, size_t text, size_t kv_head,
                       size_t first) {
    size_t D = p->model->head_dim, stride = p->model->n_kv_heads * D;
    float *keys = cached(p, p->keys, text, kv_head), *values = cached(p, p->values, text, kv_head);
    for (size_t t = first; t < p->texts[text].n; t++) {
        size_t from = (w->first[text] + t - first) * stride + kv_head * D;
        memcpy(keys + t * D, w->k + from, D * sizeof *keys);
        memcpy(values + t * D, w->v + from, D * sizeof *values);
        rotate(p, t, keys + t * D);
    }
}

static pf_matrix rows_from(const float *rows, size_t first, size_t end, size_t D) {
    return (pf_matrix){PF_F32, end - first, D, rows + first * D};
}

/* n queries of one head from position `at` on, limited to a window (SIZE_MAX: none) -> out. */
static void attend_block(const pf_answer_probe *p, size_t text, size_t kv_head, size_t head,
                         size_t at, size_t n, size_t window, block *b) {
    const pf_recall_text *t = &p->texts[text];
    bool no_sinks = window == SIZE_MAX || pf_layer_slides(p->model, p->layer);
    size_t D = p->model->head_dim, stride = p->model->n_heads * D, end = at + n;
    size_t row = p->w->first[text] + at - t->question, S = no_sinks ? 0 : p->sinks;
    size_t context = p->model->context;
    float *keys = cached(p, p->keys, text, kv_head), *values = cached(p, p->values, text, kv_head);
    pf_score score = pf_model_score(p->model);
    for (size_t i = 0; i < n; i++) {
        const float *q = p->w->q + (row + i) * stride + head * D;
        memcpy(b->q + i * D, q, D * sizeof *q);
        memcpy(b->q_sink + i * D, q, D * sizeof *q);
        rotate(p, at + i, b->q + i * D);
        rotate(p, at + i < context ? at + i : context - 1, b->q_sink + i * D);
    }
    pf_partial_clear(b->part, n, D);
    if (S > at) S = at;
    if (S > 0)
        pf_exact_rows(b->q_sink, n, rows_from(keys, 0, S, D), rows_from(values, 0, S, D),
                      -(ptrdiff_t)n, (ptrdiff_t)S, score, b->scores, b->part);
    /* query t sees the keys from first + t on */
    ptrdiff_t last = (ptrdiff_t)(at + 1 - S), reach = (ptrdiff_t)window;
    ptrdiff_t first = window < end ? last - reach : -(ptrdiff_t)n;
    pf_exact_rows(b->q, n, rows_from(keys, S, end, D), rows_from(values, S, end, D), first, last,
                  score, b->scores, b->part);
    for (size_t i = 0; i < n; i++) {
        float *out = p->w->heads + (row + i) * stride + head * D;
        memcpy(out, b->part.out + i * D, D * sizeof *out);
        pf_kernels_get()->scale(out, 1 / b->part.den[i], D);
    }
}

static void attend_share(void *context, pf_member me) {
    const pf_answer_probe *p = context;
    size_t KV = p->model->n_kv_heads, G = p->model->n_heads / KV, begin, end;
    block b;
    assert(p->scratch);
    lay_out_block(&b, p->scratch + (size_t)me.index * p->scratch_floats, p->model->head_dim);
    pf_share(me, p->n_texts * KV, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        size_t text = i / KV, kv_head = i % KV, n = p->texts[text].n;
        bool exact = !p->windows || p->windows[kv_head] == PF_WINDOW_ALL;
        size_t window = exact ? SIZE_MAX : p->windows[kv_head];
        if (pf_layer_slides(p->model, p->layer)) window = p->model->layers[p->layer].window;
        cache_rows(p, p->w, text, kv_head, p->texts[text].question);
        for (size_t g = 0; g < G; g++)
            for (size_t at = p->texts[text].question; at < n; at += BLOCK)
                attend_block(p, text, kv_head, kv_head * G + g, at, n - at < BLOCK ? n - at : BLOCK,
                             window, &b);
    }
}

/* ---- the loss ---- */

static void loss_share(void *context, pf_member me) {
    const pf_answer_probe *p = context;
    size_t V = p->model->n_vocab, begin, end;
    pf_share(me, p->n_scored, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        pf_softmax q = pf_softmax_of(p->logits + i * V, V, NULL);
        p->nll[i] = q.log_sum - (double)q.logits[p->next[i]];
    }
}

/* losses [n_texts] from the logits of w. */
static void find_losses(pf_answer_probe *p) {
    pf_layerwise_logits(p->w, p->row, p->n_scored, p->logits);
    pf_parallel(p->n_threads, loss_share, p);
    memset(p->losses, 0, p->n_texts * sizeof *p->losses);
    for (size_t i = 0; i < p->n_scored; i++) {
        const pf_recall_text *text = &p->texts[p->text[i]];
        p->losses[p->text[i]] += p->nll[i] / (double)(text->n - text->answer);
    }
}

static double mean_of_kept(const pf_answer_probe *p, const double *losses) {
    double sum = 0, n = 0;
    for (size_t i = 0; i < p->n_texts; i++)
        if (p->kept[i]) sum += losses[i], n++;
    return n > 0 ? sum / n : 0;
}

size_t pf_answer_probe_select(pf_answer_probe *p, const uint32_t *windows, double most,
                              double least) {
    size_t n = 0;
    pf_answer_probe_loss(p, windows);
    for (size_t i = 0; i < p->n_texts; i++) {
        double exact = p->exact_losses[i];
        p->kept[i] = exact <= most && p->losses[i] - exact >= least;
        n += p->kept[i];
    }
    p->exact_loss = mean_of_kept(p, p->exact_losses);
    return n;
}

bool pf_answer_probe_kept(const pf_answer_probe *p, size_t text) { return p->kept[text]; }

double pf_answer_probe_exact_loss(const pf_answer_probe *p) { return p->exact_loss; }

static double probe(pf_answer_probe *p, const uint32_t *windows, bool settle) {
    size_t KV = p->model->n_kv_heads, L = p->model->n_layers, first = 0, n = stream_floats(p);
    while (first < L * KV && windows[first] == p->settled[first]) first++;
    if (first == L * KV) {
        memcpy(p->losses, p->settled_losses, p->n_texts * sizeof *p->losses);
        return mean_of_kept(p, p->losses);
    }
    first /= KV; /* the layers below are the same */
    memcpy(p->w->x, p->inputs + first * n, n * sizeof(float));
    for (size_t layer = first; layer < L; layer++) {
        p->layer = layer;
        if (settle) memcpy(p->inputs + layer * n, p->w->x, n * sizeof(float));
        p->windows = windows + layer * KV;
        pf_layerwise_project(p->w, layer);
        pf_parallel(p->n_threads, attend_share, p);
        pf_layerwise_finish(p->w, layer);
    }
    find_losses(p);
    return mean_of_kept(p, p->losses);
}

double pf_answer_probe_loss(pf_answer_probe *p, const uint32_t *windows) {
    return probe(p, windows, false);
}

double pf_answer_probe_settle(pf_answer_probe *p, const uint32_t *windows) {
    double loss = probe(p, windows, true);
    memcpy(p->settled, windows, p->model->n_layers * p->model->n_kv_heads * sizeof *windows);
    memcpy(p->settled_losses, p->losses, p->n_texts * sizeof *p->losses);
    return loss;
}

/* ---- once, exactly ---- */

/* Rows [question, n) of every text, from the rows of whole texts. */
static void take_questions(const pf_answer_probe *p, const float *rows, size_t cols, float *to) {
    for (size_t i = 0; i < p->n_texts; i++) {
        const pf_recall_text *text = &p->texts[i];
        size_t n = text->n - text->question;
        memcpy(to + p->w->first[i] * cols, rows + (p->first[i] + text->question) * cols,
               n * cols * sizeof *to);
    }
}

/* heads of all rows of whole texts */
static bool attend_exactly(pf_layerwise *all, pf_exact_targets *exact, size_t layer,
                           pf_error *error) {
    if (pf_layer_slides(all->model, layer)) return pf_sliding_layer_attend(all, layer, error);
    for (size_t k = 0; k < exact->KV; k++) exact->windows[k] = all->longest;
    pf_exact_targets_walk(exact);
    memcpy(all->heads, exact->target, all->n_rows * exact->H * exact->D * sizeof(float));
    return true;
}

static bool compute_exactly(pf_answer_probe *p, const pf_text_ids *whole, pf_error *error) {
    pf_layerwise *all = pf_layerwise_new(p->model, whole, p->n_texts, p->n_threads, error);
    pf_exact_targets *exact = all ? pf_exact_targets_new(all, 0, NULL, p->n_threads, error) : NULL;
    size_t L = p->model->n_layers, KV = p->model->n_kv_heads;
    bool good = exact != NULL;
    for (size_t layer = 0; good && layer < L; layer++) {
        p->layer = layer;
        take_questions(p, all->x, p->model->width, p->inputs + layer * stream_floats(p));
        pf_layerwise_project(all, layer);
        for (size_t text = 0; text < p->n_texts; text++)
            for (size_t k = 0; k < KV; k++) cache_rows(p, all, text, k, 0);
        good = attend_exactly(all, exact, layer, error);
        if (good) pf_layerwise_finish(all, layer);
    }
    if (good) take_questions(p, all->x, p->model->width, p->w->x);
    pf_exact_targets_free(exact);
    pf_layerwise_free(all);
    if (!good) return false;
    find_losses(p);
    memcpy(p->exact_losses, p->losses, p->n_texts * sizeof *p->losses);
    memcpy(p->settled_losses, p->losses, p->n_texts * sizeof *p->losses);
    for (size_t i = 0; i < L * KV; i++) p->settled[i] = PF_WINDOW_ALL;
    for (size_t i = 0; i < p->n_texts; i++) p->kept[i] = true;
    p->exact_loss = mean_of_kept(p, p->losses);
    return true;
}

static bool compute_angles(pf_answer_probe *p, pf_error *error) {
    const pf_model *model = p->model;
    p->pairs = pf_position_rotates(model->position) ? model->rope_dim / 2 : 0;
    pf_rotary global = {.base = model->rope_base,
                        .factors = pf_model_rope_factors(model, p->longest),
                        .dim = (uint32_t)(2 * p->pairs)};
    pf_rotary sliding = global;
    if (model->sliding_rope_base > 0) {
        sliding.base = model->sliding_rope_base;
        sliding.factors = NULL;
    }
    p->angles[0] = pf_rotary_table(global, p->longest, error);
    p->angles[1] = p->angles[0] ? pf_rotary_table(sliding, p->longest, error) : NULL;
    return p->angles[1] != NULL;
}

pf_answer_probe *pf_answer_probe_new(const pf_model *model, const pf_recall_text *texts,
                                     size_t n_texts, size_t sinks, int n_threads, pf_error *error) {
    if (!check(texts, n_texts, error)) return NULL;
    pf_answer_probe *p = pf_calloc(1, sizeof *p, "the recall texts", error);
    pf_text_ids *whole = pf_calloc(2 * n_texts, sizeof *whole, "the recall texts", error);
    if (!p || !whole) goto fail;
    pf_text_ids *ends = whole + n_texts;
    *p = (pf_answer_probe){
        .model = model, .texts = texts, .n_texts = n_texts, .sinks = sinks, .n_threads = n_threads};
    p->first = pf_calloc(n_texts + 1, sizeof *p->first, "the recall texts", error);
    if (!p->first) goto fail;
    for (size_t i = 0; i < n_texts; i++) {
        const pf_recall_text *text = &texts[i];
        whole[i] = (pf_text_ids){text->ids, text->n};
        ends[i] = (pf_text_ids){text->ids + text->question, text->n - text->question};
        p->first[i + 1] = p->first[i] + text->n;
        if (text->n > p->longest) p->longest = text->n;
    }
    p->w = pf_layerwise_new(model, ends, n_texts, n_threads, error);
    if (!p->w || !compute_angles(p, error) || !allocate(p, error) ||
        !compute_exactly(p, whole, error))
        goto fail;
    pf_free(whole);
    return p;
fail:
    pf_free(whole);
    pf_answer_probe_free(p);
    return NULL;
}

void pf_answer_probe_free(pf_answer_probe *p) {
    if (!p) return;
    pf_layerwise_free(p->w);
    pf_free(p->first);
    pf_free(p->keys);
    pf_free(p->values);
    pf_free(p->inputs);
    pf_free(p->settled);
    pf_free(p->settled_losses);
    pf_free(p->angles[0]);
    pf_free(p->angles[1]);
    pf_free(p->row);
    pf_free(p->next);
    pf_free(p->text);
    pf_free(p->logits);
    pf_free(p->nll);
    pf_free(p->losses);
    pf_free(p->exact_losses);
    pf_free(p->kept);
    pf_free(p->scratch);
    pf_free(p);
}
