/* floor 2.5 - layerwise: computes a model layer by layer, leaving attention to the caller. */
#include "layerwise.h"

#include "forward.h"
#include "memory.h"

#include <string.h>

enum { CHUNK = 256 }; /* rows computed together */

static bool check(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                  pf_error *error) {
    for (size_t i = 0; i < n_texts; i++) {
        if (texts[i].n == 0) return pf_fail(error, "calibration text %zu has no tokens", i + 1);
        if (model->position == PF_POSITION_LEARNED && texts[i].n > model->context)
            return pf_fail(error,
                           "calibration text %zu has %zu tokens, but the model has positions for "
                           "%u; use shorter texts",
                           i + 1, texts[i].n, model->context);
        for (size_t t = 0; t < texts[i].n; t++)
            if (texts[i].ids[t] < 0 || (uint32_t)texts[i].ids[t] >= model->n_vocab)
                return pf_fail(error,
                               "token id %d in calibration text %zu is outside the model's "
                               "vocabulary of %u",
                               texts[i].ids[t], i + 1, model->n_vocab);
    }
    return n_texts > 0 || pf_fail(error, "there is no text to calibrate on");
}

/* A session of which only sliding layers use the attention (sliding_layers.h): it takes little more
 * than the activations of a chunk. */
static pf_session *helper(const pf_model *model, size_t context, int n_threads, pf_error *error) {
    pf_session_options options = {
        .attention = {.kind = PF_ATTENTION_LOCAL, .features = 1, .window = 1, .uncalibrated = true},
        .context = context,
        .n_threads = n_threads,
        .chunk = CHUNK};
    return pf_session_new(model, &options, error);
}

pf_layerwise *pf_layerwise_new(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                               int n_threads, pf_error *error) {
    if (!check(model, texts, n_texts, error)) return NULL;
    const char *what = "the calibration texts' activations (give fewer texts)";
    pf_layerwise *w = pf_calloc(1, sizeof *w, what, error);
    if (!w) return NULL;
    size_t HD = (size_t)model->n_heads * model->head_dim;
    size_t kvD = (size_t)model->n_kv_heads * model->head_dim;
    w->model = model;
    w->n_texts = n_texts;
    w->first = pf_calloc(n_texts + 1, sizeof *w->first, what, error);
    if (!w->first) goto fail;
    for (size_t i = 0; i < n_texts; i++) {
        w->first[i + 1] = w->first[i] + texts[i].n;
        if (texts[i].n > w->longest) w->longest = texts[i].n;
    }
    w->n_rows = w->first[n_texts];
    w->x = pf_calloc(w->n_rows, model->width * sizeof *w->x, what, error);
    w->q = pf_calloc(w->n_rows, HD * sizeof *w->q, what, error);
    w->heads = pf_calloc(w->n_rows, HD * sizeof *w->heads, what, error);
    w->k = pf_calloc(w->n_rows, kvD * sizeof *w->k, what, error);
    w->v = pf_calloc(w->n_rows, kvD * sizeof *w->v, what, error);
    w->session = helper(model, w->longest, n_threads, error);
    if (!w->x || !w->q || !w->heads || !w->k || !w->v || !w->session) goto fail;
    pf_layerwise_embed(w, texts);
    return w;
fail:
    pf_layerwise_free(w);
    return NULL;
}

void pf_layerwise_free(pf_layerwise *w) {
    if (!w) return;
    pf_session_free(w->session);
    pf_free(w->first);
    pf_free(w->x);
    pf_free(w->q);
    pf_free(w->heads);
    pf_free(w->k);
    pf_free(w->v);
    pf_free(w);
}

/* What a team computes for the session's chunk. */
typedef struct job {
    pf_session *session;
    void (*piece)(pf_session *s, pf_member me, size_t layer);
    size_t layer;
} job;

static void work(void *context, pf_member me) {
    const job *j = context;
    j->piece(j->session, me, j->layer);
}

static void embed_piece(pf_session *s, pf_member me, size_t layer) {
    (void)layer;
    pf_forward_embed(s, me);
}

void pf_layerwise_embed(pf_layerwise *w, const pf_text_ids *texts) {
    pf_session *s = w->session;
    size_t C = w->model->width;
    job embed = {s, embed_piece, 0};
    for (size_t i = 0; i < w->n_texts; i++)
        for (size_t done = 0; done < texts[i].n; done += s->n) {
            s->n = texts[i].n - done < CHUNK ? texts[i].n - done : CHUNK;
            s->tokens = texts[i].ids + done;
            s->position = done;
            pf_parallel(s->options.n_threads, work, &embed);
            memcpy(w->x + (w->first[i] + done) * C, s->x, s->n * C * sizeof *s->x);
        }
}

static void logits_piece(pf_session *s, pf_member me, size_t layer) {
    (void)layer;
    pf_forward_logits(s, me);
}

void pf_layerwise_logits(pf_layerwise *w, const size_t *row, size_t n, float *logits) {
    pf_session *s = w->session;
    size_t C = w->model->width;
    job piece = {s, logits_piece, 0};
    for (size_t first = 0; first < n; first += s->n) {
        s->n = s->n_logits = n - first < CHUNK ? n - first : CHUNK;
        s->logits = logits + first * w->model->n_vocab;
        for (size_t i = 0; i < s->n; i++)
            memcpy(s->x + i * C, w->x + row[first + i] * C, C * sizeof *s->x);
        pf_parallel(s->options.n_threads, work, &piece);
    }
}

static void copy(float *to, const float *from, size_t rows, size_t cols) {
    memcpy(to, from, rows * cols * sizeof *to);
}

void pf_layerwise_project(pf_layerwise *w, size_t layer) {
    pf_session *s = w->session;
    const pf_model *model = w->model;
    size_t C = model->width, HD = (size_t)model->n_heads * model->head_dim;
    size_t kvD = (size_t)model->n_kv_heads * model->head_dim;
    job project = {s, pf_forward_project, layer};
    w->layer = layer;
    for (size_t first = 0; first < w->n_rows; first += s->n) {
        s->n = w->n_rows - first < CHUNK ? w->n_rows - first : CHUNK;
        copy(s->x, w->x + first * C, s->n, C);
        pf_parallel(s->options.n_threads, work, &project);
        copy(w->q + first * HD, s->q, s->n, HD);
        copy(w->k + first * kvD, s->k, s->n, kvD);
        copy(w->v + first * kvD, s->v, s->n, kvD);
    }
}

void pf_layerwise_finish(pf_layerwise *w, size_t layer) {
    pf_session *s = w->session;
    size_t C = w->model->width, HD = (size_t)w->model->n_heads * w->model->head_dim;
    job finish = {s, pf_forward_finish, layer};
    for (size_t first = 0; first < w->n_rows; first += s->n) {
        s->n = w->n_rows - first < CHUNK ? w->n_rows - first : CHUNK;
        copy(s->x, w->x + first * C, s->n, C);
        copy(s->heads, w->heads + first * HD, s->n, HD);
        pf_parallel(s->options.n_threads, work, &finish);
        copy(w->x + first * C, s->x, s->n, C);
    }
}
