/* floor 5.7 - explain page data: the numbers from which the page's scripts compute.
 *
 * One block of JSON. Rows are base64 of little-endian floats: float32 if all heads fit. Otherwise
 * the chosen head and those that share its keys have float32, others float16, as many as fit. */
#include "explain_page.h"

#include "attention_weights.h"
#include "memory.h"
#include "quant.h"
#include "terminal.h"
#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN_BYTES = 1024 }; /* of JSON around the rows of a group of heads */

static json_t *base64(const void *data, size_t n) {
    html text = {0};
    html_base64(&text, data, n);
    json_t *string = text.failed ? NULL : json_stringn(text.text, text.used);
    html_free(&text);
    return string;
}

static json_t *floats(const float *x, size_t n) { return base64(x, n * sizeof *x); }

/* rows [T, D], `stride` floats apart. */
static json_t *rows_json(const float *rows, size_t T, size_t D, size_t stride, bool half) {
    pf_error error;
    float *whole = pf_calloc(T * D, sizeof *whole, "rows of the page", &error);
    uint16_t *halves = pf_calloc(T * D, sizeof *halves, "rows of the page", &error);
    json_t *json = NULL;
    if (whole && halves) {
        for (size_t i = 0; i < T * D; i++) {
            whole[i] = rows[i / D * stride + i % D];
            halves[i] = pf_f32_to_f16(whole[i]);
        }
        json = half ? base64(halves, T * D * sizeof *halves) : floats(whole, T * D);
    }
    pf_free(whole);
    pf_free(halves);
    return json;
}

/* False if there is no value, because memory ran out, or no room for it. Takes the value. */
static bool put(json_t *json, const char *key, json_t *value) {
    return json_object_set_new(json, key, value) == 0;
}

/* One side of features that the page cannot draw from a seed. */
static json_t *features_json(const pf_features *f) {
    size_t D = f->D, m = pf_map_projections(f->map, f->M);
    json_t *json = json_object();
    bool good = put(json, "omega", floats(f->omega, m * D)) &&
                put(json, "tilt_constant", json_real((double)f->tilt_constant));
    if (f->bias) good = good && put(json, "bias", floats(f->bias, m));
    if (f->center) good = good && put(json, "center", floats(f->center, D));
    if (f->transform) good = good && put(json, "transform", floats(f->transform, D * D));
    if (f->tilt) good = good && put(json, "tilt", floats(f->tilt, D));
    if (good) return json;
    json_decref(json);
    return NULL;
}

/* What Performer attention is for one query head. */
typedef struct head_facts {
    uint32_t g;   /* which of its KV head's queries */
    bool stored;  /* the file has something to say about its features */
    json_t *json; /* out; NULL if memory ran out */
} head_facts;

static bool add_tail(const head_facts *facts, const pf_head_features *features) {
    const pf_features *q = &features->q[facts->g];
    const pf_features *k = &features->k[facts->g / (features->G / features->n_tails)];
    return put(facts->json, "map", json_string(pf_map_name(k->map))) &&
           put(facts->json, "features", json_integer((json_int_t)k->M)) &&
           (!facts->stored || k->map == PF_MAP_ELU ||
            put(facts->json, "own",
                json_pack("{s:o, s:o}", "q", features_json(q), "k", features_json(k))));
}

static void observe_head(void *context, size_t position, const pf_head_view *view) {
    head_facts *facts = context;
    const pf_head *head = view->head;
    (void)position;
    size_t window = head->window < EXPLAIN_PAGE_TOKENS ? head->window : EXPLAIN_PAGE_TOKENS;
    facts->json =
        json_pack("{s:I, s:I}", "window", (json_int_t)window, "sinks", (json_int_t)head->sinks);
    if (!head->tails || add_tail(facts, &head->features)) return;
    json_decref(facts->json);
    facts->json = NULL;
}

/* The rows of one layer as heads read them: rotated to their positions. */
typedef struct turned_rows {
    const pf_model *model;
    float *q, *k; /* [T, H * D], [T, n_kv_heads * D] */
    bool tail_rope;
} turned_rows;

static void observe_turn(void *context, size_t position, const pf_head_view *view) {
    turned_rows *rows = context;
    size_t D = rows->model->head_dim, H = rows->model->n_heads, kv = rows->model->n_kv_heads;
    for (size_t h = 0; h < H; h++)
        pf_head_rotate(view->config, position, rows->q + (position * H + h) * D, false);
    for (size_t h = 0; h < kv; h++)
        pf_head_rotate(view->config, position, rows->k + (position * kv + h) * D, false);
    rows->tail_rope = view->config->tail_rope;
}

/* The data block while it is filled. */
typedef struct filling {
    const explain_page *e;
    json_t *heads, *keys; /* by "layer.head" and "layer.kv_head" */
    turned_rows turned;
    float *out; /* [T, H * D]: what attention writes, not needed here */
    size_t room;
    pf_error *error;
} filling;

static bool no_memory(pf_error *error) { return pf_fail(error, "not enough memory for the page"); }

static bool turn_layer(filling *f, uint32_t layer) {
    const explain_run *run = f->e->run;
    const pf_model *m = run->model;
    size_t T = run->T, D = m->head_dim;
    const float *q = qkv_rows_q(&f->e->rows, layer), *k = qkv_rows_k(&f->e->rows, layer);
    memcpy(f->turned.q, q, T * m->n_heads * D * sizeof *q);
    memcpy(f->turned.k, k, T * m->n_kv_heads * D * sizeof *k);
    return pf_attention_observe(run->favor.session, layer, 0, q, k, qkv_rows_v(&f->e->rows, layer),
                                T, f->out, observe_turn, &f->turned, f->error);
}

static bool is_stored(const explain_run *run, uint32_t layer) {
    const pf_favor_weights *favor = &run->model->layers[layer].favor;
    return !run->settings.favor.attention.uncalibrated &&
           (favor->projection || favor->q_center || favor->q_weight);
}

static void name_of(uint32_t layer, uint32_t head, char *name, size_t size) {
    snprintf(name, size, "%u.%u", layer, head);
}

/* Bytes of the rows of a KV head and its G queries, and of what the file stores for them. */
static size_t group_bytes(const filling *f, uint32_t layer, bool half) {
    const explain_run *run = f->e->run;
    const pf_model *m = run->model;
    size_t D = m->head_dim, G = m->n_heads / m->n_kv_heads;
    size_t rows = (G + 2 + (f->turned.tail_rope ? 0 : G + 1)) * run->T * D;
    size_t M = run->settings.favor.attention.features;
    size_t stored = is_stored(run, layer) ? G * 2 * (M + 2 + D) * (D + 2) * sizeof(float) : 0;
    return (rows * (half ? 2 : 4) + stored) * 4 / 3 + PLAIN_BYTES;
}

static bool add_head(filling *f, uint32_t layer, uint32_t head, bool half) {
    const explain_run *run = f->e->run;
    const pf_model *m = run->model;
    size_t T = run->T, D = m->head_dim, HD = m->n_heads * D;
    uint32_t G = m->n_heads / m->n_kv_heads;
    head_facts facts = {.g = head % G, .stored = is_stored(run, layer)};
    const float *q = qkv_rows_q(&f->e->rows, layer), *k = qkv_rows_k(&f->e->rows, layer);
    if (!pf_attention_observe(run->favor.session, layer, head / G, q, k,
                              qkv_rows_v(&f->e->rows, layer), 1, f->out, observe_head, &facts,
                              f->error))
        return false;
    char name[32];
    name_of(layer, head, name, sizeof name);
    json_t *json = facts.json;
    bool good =
        put(json, "half", json_boolean(half)) &&
        /* the window of both kinds of attention in a sliding layer; else 0 */
        put(json, "sliding", json_integer(m->layers[layer].window)) &&
        put(json, "q", rows_json(f->turned.q + head * D, T, D, HD, half)) &&
        (f->turned.tail_rope || put(json, "q_plain", rows_json(q + head * D, T, D, HD, half)));
    return (put(f->heads, name, json) && good) || no_memory(f->error);
}

/* A KV head and all its queries. */
static bool add_group(filling *f, uint32_t layer, uint32_t kv_head, bool half) {
    const pf_model *m = f->e->run->model;
    size_t T = f->e->run->T, D = m->head_dim, kvD = m->n_kv_heads * D;
    uint32_t G = m->n_heads / m->n_kv_heads;
    char name[32];
    name_of(layer, kv_head, name, sizeof name);
    if (json_object_get(f->keys, name)) return true;
    size_t bytes = group_bytes(f, layer, half);
    if (bytes > f->room) return true;
    if (!turn_layer(f, layer)) return false;
    f->room -= bytes;
    const float *k = qkv_rows_k(&f->e->rows, layer), *v = qkv_rows_v(&f->e->rows, layer);
    json_t *keys = json_object();
    bool good =
        put(keys, "k", rows_json(f->turned.k + kv_head * D, T, D, kvD, half)) &&
        put(keys, "v", rows_json(v + kv_head * D, T, D, kvD, half)) &&
        (f->turned.tail_rope || put(keys, "k_plain", rows_json(k + kv_head * D, T, D, kvD, half)));
    if (!put(f->keys, name, keys) || !good) return no_memory(f->error);
    for (uint32_t g = 0; g < G; g++)
        if (!add_head(f, layer, kv_head * G + g, half)) return false;
    return true;
}

/* In whole floats. */
static bool all_fit(const filling *f) {
    const pf_model *m = f->e->run->model;
    size_t bytes = 0;
    for (uint32_t l = 0; l < m->n_layers; l++)
        if (explain_page_shows(f->e, l)) bytes += m->n_kv_heads * group_bytes(f, l, false);
    return bytes <= f->room;
}

/* The chosen group, the rest of its layer, the same KV head of the other layers, then the rest. */
static bool add_groups(filling *f) {
    const explain_run *run = f->e->run;
    const pf_model *m = run->model;
    uint32_t layer = run->settings.layer, kv = m->n_kv_heads;
    uint32_t chosen = run->settings.head / (m->n_heads / kv);
    if (!add_group(f, layer, chosen, false)) return false;
    bool half = !all_fit(f);
    for (uint32_t i = 0; i < kv; i++)
        if (!add_group(f, layer, i, half)) return false;
    for (uint32_t i = 0; i < kv; i++)
        for (uint32_t l = 0; l < m->n_layers; l++)
            if (explain_page_shows(f->e, l) && !add_group(f, l, (chosen + i) % kv, half))
                return false;
    return true;
}

static json_t *token_texts(const explain_page *e) {
    const pf_tokenizer *tokenizer = e->run->loaded->tokenizer;
    json_t *texts = json_array();
    for (size_t t = 0; t < e->run->T; t++) {
        char id[16];
        size_t n = 0;
        const char *bytes = tokenizer ? pf_tokenizer_bytes(tokenizer, e->run->ids[t], true, &n) : 0;
        if (!bytes || n == 0) {
            n = (size_t)snprintf(id, sizeof id, "#%d", (int)e->run->ids[t]);
            bytes = id;
        }
        if (json_array_append_new(texts, json_text(bytes, n)) != 0) {
            json_decref(texts);
            return NULL;
        }
    }
    return texts;
}

static json_t *settings_json(const explain_run *run) {
    const pf_attention_options *a = &run->settings.favor.attention;
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)a->seed);
    return json_pack("{s:s, s:s, s:f, s:I, s:b}", "seed", seed, "projection",
                     pf_projection_name(a->projection), "epsilon", (double)a->epsilon, "forget",
                     (json_int_t)a->forget, "uncalibrated", a->uncalibrated);
}

static json_t *facts_json(const explain_page *e) {
    const explain_run *run = e->run;
    const pf_model *m = run->model;
    pf_score score = pf_model_score(m);
    return json_pack("{s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:o, s:o}", "model",
                     json_text(e->model, strlen(e->model)), "heads", (int)m->n_heads, "kv_heads",
                     (int)m->n_kv_heads, "D", (int)m->head_dim, "T", (int)run->T, "layer",
                     (int)run->settings.layer, "head", (int)run->settings.head, "scale",
                     (double)score.scale, "cap", (double)score.cap, "settings", settings_json(run),
                     "tokens", token_texts(e));
}

/* Inside a script element `<` must not appear: it could end the element. */
static bool write_json(html *p, const json_t *json) {
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!text) return no_memory(&p->error);
    html_add(p, "<script type=\"application/json\" id=\"numbers\">");
    for (const char *rest = text; *rest;) {
        size_t n = strcspn(rest, "<");
        html_bytes(p, rest, n);
        rest += n;
        if (*rest == '<') html_add(p, "\\u003c");
        if (*rest) rest++;
    }
    html_add(p, "</script>\n");
    free(text);
    return true;
}

void explain_page_data(html *p, explain_page *e, size_t room) {
    const pf_model *m = e->run->model;
    size_t T = e->run->T, D = m->head_dim;
    filling f = {.e = e, .heads = json_object(), .keys = json_object(), .error = &p->error};
    f.turned.model = m;
    f.turned.q = pf_calloc(T * m->n_heads, D * sizeof(float), "rows of the page", &p->error);
    f.turned.k = pf_calloc(T * m->n_kv_heads, D * sizeof(float), "rows of the page", &p->error);
    f.out = pf_calloc(T * m->n_heads, D * sizeof(float), "rows of the page", &p->error);
    f.room = room > 64 * T + PLAIN_BYTES ? room - 64 * T - PLAIN_BYTES : 0;
    json_t *json = facts_json(e);
    bool good =
        f.turned.q && f.turned.k && f.out && (json || no_memory(&p->error)) && add_groups(&f);
    if (good)
        good = (json_object_set(json, "rows", f.heads) == 0 &&
                json_object_set(json, "keys", f.keys) == 0) ||
               no_memory(&p->error);
    if (!good || !write_json(p, json)) p->failed = true;
    json_decref(json);
    json_decref(f.heads);
    json_decref(f.keys);
    pf_free(f.turned.q);
    pf_free(f.turned.k);
    pf_free(f.out);
}
