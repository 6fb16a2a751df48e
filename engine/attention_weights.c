/* floor 2.5 - attention weights: one layer's attention on rows that you supply, and its weights. */
#include "attention_weights.h"

#include "memory.h"
#include "session_state.h"

#include <string.h>

/* A chunk of the replay. */
typedef struct replay {
    pf_session *session;
    uint32_t layer;
    size_t position, n;
    const float *q, *k, *v; /* of the chunk's first token */
    float *out;
} replay;

static void append_chunk(void *context, pf_member me) {
    const replay *r = context;
    pf_attention_append(r->session->attention, me, r->layer, r->position, r->n, r->q, r->k, r->v,
                        r->out);
}

/* The observer of a replay, if there is one. */
typedef struct watcher {
    uint32_t kv_head;
    pf_head_observer observe; /* may be NULL */
    void *context;
} watcher;

static bool check(const pf_session *s, uint32_t layer, uint32_t kv_head, size_t T,
                  pf_error *error) {
    if (layer >= s->model->n_layers)
        return pf_fail(error, "there is no layer %u: this model has %u, counted from 0", layer,
                       s->model->n_layers);
    if (kv_head >= s->model->n_kv_heads)
        return pf_fail(error, "there is no KV head %u: this model has %u, counted from 0", kv_head,
                       s->model->n_kv_heads);
    if (T > pf_session_room(s))
        return pf_fail(error, "the text has %zu tokens, but the context holds %zu", T,
                       pf_session_room(s));
    return true;
}

/* Each token attends to up to T others; a short text is not worth a team (session.h, team_work). */
static int team_for(const pf_session *s, size_t n, size_t T) {
    size_t pairs = n * T * s->model->n_heads * s->model->head_dim;
    return pairs < s->options.team_work ? 1 : s->options.n_threads;
}

static bool replay_in_steps(pf_session *s, uint32_t layer, const float *q, const float *k,
                            const float *v, size_t T, size_t step, float *out, watcher w,
                            pf_error *error) {
    const pf_model *model = s->model;
    size_t HD = (size_t)model->n_heads * model->head_dim;
    size_t kvD = (size_t)model->n_kv_heads * model->head_dim;
    pf_attention_rewind(s->attention);
    s->position = 0;
    if (!check(s, layer, w.kv_head, T, error)) return false;
    bool good = true;
    for (size_t done = 0; good && done < T;) {
        replay r = {s,    layer, done, T - done < step ? T - done : step,
                    NULL, NULL,  NULL, out + done * HD};
        r.q = q + done * HD;
        r.k = k + done * kvD;
        r.v = v + done * kvD;
        good = pf_attention_begin(s->attention, done, r.n, error);
        if (good) pf_parallel(team_for(s, r.n, T), append_chunk, &r);
        if (good && w.observe) {
            pf_head_view view = pf_attention_view(s->attention, layer, w.kv_head);
            w.observe(w.context, done, &view);
        }
        done += r.n;
    }
    pf_attention_rewind(s->attention);
    return good;
}

bool pf_attention_replay(pf_session *s, uint32_t layer, const float *q, const float *k,
                         const float *v, size_t T, float *out, pf_error *error) {
    return replay_in_steps(s, layer, q, k, v, T, s->chunk, out, (watcher){0}, error);
}

bool pf_attention_observe(pf_session *s, uint32_t layer, uint32_t kv_head, const float *q,
                          const float *k, const float *v, size_t T, float *out,
                          pf_head_observer observe, void *context, pf_error *error) {
    watcher w = {kv_head, observe, context};
    return replay_in_steps(s, layer, q, k, v, T, 1, out, w, error);
}

/* v [T, n_kv_heads, D]: the unit vector e_d for token first + d, 0 for all others. */
static void set_unit_values(const pf_model *model, size_t first, size_t T, float *v) {
    size_t D = model->head_dim, kvD = model->n_kv_heads * D;
    memset(v, 0, T * kvD * sizeof *v);
    for (size_t d = 0; d < D && first + d < T; d++)
        for (size_t h = 0; h < model->n_kv_heads; h++) v[(first + d) * kvD + h * D + d] = 1;
}

bool pf_attention_weights(pf_session *s, uint32_t layer, const float *q, const float *k, size_t T,
                          float *weights, pf_error *error) {
    const pf_model *model = s->model;
    size_t D = model->head_dim, H = model->n_heads;
    float *v = pf_calloc(T, model->n_kv_heads * D * sizeof *v, "attention weights", error);
    float *out = pf_calloc(T, H * D * sizeof *out, "attention weights", error);
    bool good = v && out;
    for (size_t first = 0; good && first < T; first += D) {
        set_unit_values(model, first, T, v);
        good = pf_attention_replay(s, layer, q, k, v, T, out, error);
        size_t n = T - first < D ? T - first : D;
        for (size_t t = 0; good && t < T; t++)
            for (size_t h = 0; h < H; h++)
                memcpy(weights + (h * T + t) * T + first, out + (t * H + h) * D, n * sizeof *out);
    }
    pf_free(v);
    pf_free(out);
    return good;
}
