/* floor 5.7 - explain page head: the chosen head's maps and last row, and the page's controls. */
#include "explain_page.h"

#include "attention_weights.h"

#include <math.h>
#include <string.h>

enum {
    GUTTER = 86,
    SIDE = 420,
    LETTERS = 11,
    LABEL_BYTES = 12,
    ROWS = 12,
    MOST_SINKS = 8,
    LEAST_FEATURES = 16,
    MOST_FEATURES = 256
};

/* The first characters of a token as a label of a map. */
static void label(html *p, const explain_page *e, size_t t, const char *attributes, double x,
                  double y, const char *turn) {
    html_add(p, "<text class=\"tick\" text-anchor=\"end\" transform=\"translate(%.1f %.1f)%s\"%s>",
             x, y, turn, attributes);
    explain_page_token(p, e, t, LABEL_BYTES);
    html_add(p, "</text>");
}

static void large_map(html *p, explain_page *e, const char *id, const char *title,
                      const float *weights) {
    size_t T = e->run->T, every = (size_t)ceil((double)LETTERS * (double)T / SIDE);
    html_add(p,
             "<figure><figcaption>%s</figcaption><div class=\"map\" id=\"%s\"><svg viewBox=\"0 0 "
             "%d %d\" role=\"img\" aria-label=\"Attention weights of layer %u, head %u under %s, "
             "%zu tokens\">",
             title, id, GUTTER + SIDE, GUTTER + SIDE, e->run->settings.layer, e->run->settings.head,
             title, T);
    for (size_t t = 0; t < T; t += every) {
        double at = GUTTER + ((double)t + 0.5) * SIDE / (double)T + 4;
        label(p, e, t, "", GUTTER - 6, at, "");
        label(p, e, t, "", at, GUTTER - 6, " rotate(90)");
    }
    html_add(p,
             "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/><image "
             "x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" href=\"",
             GUTTER, GUTTER, SIDE, SIDE, GUTTER, GUTTER, SIDE, SIDE);
    explain_page_map(p, e, weights);
    html_add(p, "\"/></svg></div></figure>\n");
}

static void range(html *p, const char *id, const char *name, size_t least, size_t most, size_t step,
                  size_t value) {
    html_add(p,
             "<div><label for=\"%s\">%s</label><input type=\"range\" id=\"%s\" min=\"%zu\" "
             "max=\"%zu\" step=\"%zu\" value=\"%zu\"><output id=\"%s-said\" for=\"%s\"></output>"
             "</div>\n",
             id, name, id, least, most, step, value, id, id);
}

static size_t at_least(size_t least, size_t value) { return value > least ? value : least; }

/* What the scripts recompute; hidden until they run. */
static void controls(html *p, const explain_page *e) {
    const explain_run *run = e->run;
    const pf_attention_options *attention = &run->settings.favor.attention;
    const head_trace *trace = &run->favor.trace;
    size_t T = run->T, sinks = T < MOST_SINKS ? T : MOST_SINKS;
    html_add(p, "<form id=\"controls\" aria-label=\"Token and attention\" hidden>\n");
    range(p, "token", "Token", 0, T - 1, 1, run->last);
    html_add(p, "<div><label for=\"map\">Map</label><select id=\"map\"></select></div>\n"
                "<div><label for=\"projection\">Draws</label><select id=\"projection\">"
                "<option>orthogonal</option><option>iid</option></select></div>\n");
    range(p, "features", "Features M", trace->M < LEAST_FEATURES ? trace->M : LEAST_FEATURES,
          at_least(MOST_FEATURES, trace->M), 2, trace->M);
    range(p, "seed", "Seed", 0, attention->seed <= 1000 ? at_least(50, attention->seed) : 50, 1,
          attention->seed <= 1000 ? attention->seed : 1);
    range(p, "window", "Window", 0, T, 1, trace->window < T ? trace->window : T);
    range(p, "sinks", "Sinks", 0, at_least(sinks, trace->sinks < T ? trace->sinks : T), 1,
          trace->sinks);
    html_add(p, "<div class=\"buttons\"><button type=\"button\" id=\"play\">Play the text</button>"
                "<button type=\"button\" id=\"reset\">As the engine ran</button></div>\n"
                "<p id=\"said\" role=\"status\"></p>\n</form>\n");
}

static const char *part_of(const explain_run *run, size_t j) {
    const head_trace *trace = &run->favor.trace;
    if (j < trace->sinks) return "sink";
    return run->last - j < trace->window ? "window" : "tail";
}

static void last_row(html *p, const explain_page *e) {
    const explain_run *run = e->run;
    size_t shown[EXPLAIN_MAX_TOKENS], n = explain_run_choose(run, ROWS, shown);
    html_add(p, "<div id=\"row\"><h3>What the last token, <code>");
    explain_page_token(p, e, run->last, SIZE_MAX);
    html_add(p, "</code>, takes from the others</h3><div class=\"scroll\"><table><thead><tr><th "
                "scope=\"col\">token</th><th scope=\"col\">softmax</th><th scope=\"col\">"
                "Performer</th><th scope=\"col\">part</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        html_add(p, "<tr><th scope=\"row\">%zu <code>", shown[i]);
        explain_page_token(p, e, shown[i], SIZE_MAX);
        html_add(p, "</code></th><td>%.4f</td><td>%.4f</td><td>%s</td></tr>\n",
                 (double)run->softmax.weights[shown[i]], (double)run->favor.weights[shown[i]],
                 part_of(run, shown[i]));
    }
    html_add(p, "</tbody></table></div></div>\n");
}

void explain_page_head(html *p, explain_page *e) {
    const explain_run *run = e->run;
    uint32_t layer = run->settings.layer, head = run->settings.head;
    size_t T = run->T;
    const float *q = qkv_rows_q(&e->rows, layer), *k = qkv_rows_k(&e->rows, layer);
    html_add(p,
             "<section id=\"one\"><h2>One head: <span id=\"which\">layer %u, head %u</span></h2>\n"
             "<p id=\"about\">Each row of a map says how one token divides its attention among "
             "the tokens up to itself.</p>\n",
             layer, head);
    controls(p, e);
    html_add(p, "<div class=\"grid2\">\n");
    if (pf_attention_weights(run->softmax.session, layer, q, k, T, e->softmax, &p->error) &&
        pf_attention_weights(run->favor.session, layer, q, k, T, e->favor, &p->error)) {
        large_map(p, e, "softmax-map", "softmax", e->softmax + head * T * T);
        large_map(p, e, "favor-map", "Performer", e->favor + head * T * T);
    } else {
        p->failed = true;
    }
    html_add(p, "</div>\n<p id=\"arcs-legend\" hidden>What the marked token takes from the "
                "others: <i class=\"softmax\"></i>softmax, above the line; <i class=\"favor\">"
                "</i>Performer, below. Arcs are drawn from 0.02 on.</p>\n<div id=\"strip\" "
                "hidden></div>\n");
    last_row(p, e);
    html_add(p, "</section>\n");
}
