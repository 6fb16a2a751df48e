/* floor 5.7 - report heads: exact and approximate attention matrices of each head. */
#include "report.h"

#include "attention_weights.h"
#include "memory.h"
#include "png.h"

#include <math.h>
#include <stdio.h>

enum { COLOURS = 16, LEVELS = 11, MOST_HEADS = 288 };

/* The weights of one layer at a time, and the picture made from them. */
typedef struct matrices {
    pf_session *exact_session, *other_session;
    float *exact, *other; /* [H, T, T] */
    uint8_t *pixels;      /* [T, T] */
    size_t T, H;
} matrices;

static bool open_matrices(matrices *m, const report *r, pf_error *error) {
    const comparison *c = r->c;
    m->T = r->rows->T;
    m->H = c->model->n_heads;
    m->exact_session = pf_session_new(c->model, &c->rows[0].options, error);
    m->other_session = pf_session_new(c->model, &c->rows[r->shown].options, error);
    m->exact = pf_calloc(m->H * m->T, m->T * sizeof(float), "attention matrices", error);
    m->other = pf_calloc(m->H * m->T, m->T * sizeof(float), "attention matrices", error);
    m->pixels = pf_calloc(m->T, m->T, "attention matrices", error);
    return m->exact_session && m->other_session && m->exact && m->other && m->pixels;
}

static void close_matrices(matrices *m) {
    pf_session_free(m->exact_session);
    pf_session_free(m->other_session);
    pf_free(m->exact);
    pf_free(m->other);
    pf_free(m->pixels);
}

/* Colours 0 to LEVELS go from transparent to blue; the last four are red, for weights below 0. */
static void make_palette(png_palette *palette) {
    palette->n = COLOURS;
    for (int i = 0; i < COLOURS; i++) {
        bool negative = i > LEVELS;
        palette->rgba[i][0] = negative ? 220 : 52;
        palette->rgba[i][1] = negative ? 60 : 131;
        palette->rgba[i][2] = negative ? 50 : 226;
        palette->rgba[i][3] = (uint8_t)(negative ? 255 * (i - LEVELS) / 4 : 255 * i / LEVELS);
    }
}

/* The square root makes small weights visible. */
static uint8_t level_of(float weight) {
    float size = sqrtf(fabsf(weight) < 1 ? fabsf(weight) : 1);
    if (weight < 0) {
        int level = (int)(size * 4 + 0.5f);
        return (uint8_t)(level ? LEVELS + level : 0);
    }
    return (uint8_t)(size * LEVELS + 0.5f);
}

static void picture(html *p, matrices *m, const float *weights, const char *what, const char *id,
                    const char *text) {
    png_palette palette;
    make_palette(&palette);
    for (size_t i = 0; i < m->T * m->T; i++) m->pixels[i] = level_of(weights[i]);
    html_add(p, "<figure><figcaption>");
    html_string(p, what);
    html_add(p,
             "</figcaption><svg class=\"matrix\" viewBox=\"0 0 %zu %zu\" role=\"img\" "
             "aria-labelledby=\"%s\"><title id=\"%s\">",
             m->T, m->T, id, id);
    html_string(p, text);
    html_add(
        p,
        "</title><path class=\"diagonal\" d=\"M0 0L%zu %zu\"/><image width=\"%zu\" height=\"%zu\" "
        "href=\"",
        m->T, m->T, m->T, m->T);
    png_data_address(p, m->pixels, m->T, m->T, &palette);
    html_add(p, "\"/></svg></figure>");
}

static double matrix_error(const float *exact, const float *other, size_t n) {
    double difference = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)exact[i] - (double)other[i];
        difference += d * d;
        total += (double)exact[i] * (double)exact[i];
    }
    return relative_error(difference, total);
}

static void one_head(html *p, const report *r, matrices *m, uint32_t layer, uint32_t head,
                     bool first) {
    size_t n = m->T * m->T;
    const float *exact = m->exact + head * n, *other = m->other + head * n;
    double error = matrix_error(exact, other, n);
    char id[48], text[240];
    html_add(p,
             "<div class=\"head%s\" id=\"l%uh%u\"><h3>Layer %u, head %u: Z %.1f, relative error of "
             "the weights %.3f</h3>",
             first ? " first" : "", layer, head, layer, head,
             r->c->z[layer * r->c->model->n_heads + head], error);
    snprintf(id, sizeof id, "l%uh%ue", layer, head);
    snprintf(text, sizeof text, "Exact attention weights of layer %u, head %u, %zu tokens", layer,
             head, m->T);
    picture(p, m, exact, "softmax", id, text);
    snprintf(id, sizeof id, "l%uh%ua", layer, head);
    snprintf(text, sizeof text, "Attention weights of layer %u, head %u under %.100s, %zu tokens",
             layer, head, r->c->rows[r->shown].name, m->T);
    picture(p, m, other, r->c->rows[r->shown].name, id, text);
    html_add(p, "</div>\n");
}

/* 1 to show every layer; more if that would be too many pictures for the file. */
static uint32_t layer_step(const pf_model *m) {
    uint32_t step = 1;
    while ((m->n_layers + step - 1) / step * m->n_heads > MOST_HEADS && step < m->n_layers) step++;
    return step;
}

static void choices(html *p, const pf_model *m, uint32_t step) {
    html_add(p, "<div class=\"pick\" hidden><label>Layer <select id=\"layer\">");
    for (uint32_t l = 0; l < m->n_layers; l += step) html_add(p, "<option>%u</option>", l);
    html_add(p, "</select></label><label>Head <select id=\"head\">");
    for (uint32_t h = 0; h < m->n_heads; h++) html_add(p, "<option>%u</option>", h);
    html_add(p, "</select></label></div>\n<p class=\"links\">Layer.head: ");
    for (uint32_t l = 0; l < m->n_layers; l += step)
        for (uint32_t h = 0; h < m->n_heads; h++)
            html_add(p, "<a href=\"#l%uh%u\">%u.%u</a> ", l, h, l, h);
    html_add(p, "</p>\n");
}

static bool one_layer(html *p, const report *r, matrices *m, uint32_t layer) {
    const float *q = qkv_rows_q(r->rows, layer), *k = qkv_rows_k(r->rows, layer);
    if (!pf_attention_weights(m->exact_session, layer, q, k, m->T, m->exact, &p->error) ||
        !pf_attention_weights(m->other_session, layer, q, k, m->T, m->other, &p->error))
        return false;
    for (uint32_t h = 0; h < m->H; h++) one_head(p, r, m, layer, h, layer == 0 && h == 0);
    return true;
}

void report_heads(html *p, const report *r) {
    const pf_model *model = r->c->model;
    uint32_t step = layer_step(model);
    html_add(p,
             "<section id=\"attention\" class=\"heads\"><h2>What attends to what</h2>\n<p>The "
             "first %zu tokens. Each row is a token that attends, each column a token that it "
             "attends to; the stronger the colour, the larger the weight. (Red: below 0, which "
             "only sine and cosine features produce.) Both pictures have the same queries and "
             "keys, those of the softmax session.%s</p>\n",
             r->rows->T, step > 1 ? " Some layers are left out to keep this file small." : "");
    choices(p, model, step);
    matrices m = {0};
    bool good = open_matrices(&m, r, &p->error);
    for (uint32_t l = 0; good && l < model->n_layers; l += step) good = one_layer(p, r, &m, l);
    if (!good) p->failed = true;
    close_matrices(&m);
    html_add(p, "</section>\n");
}
