/* floor 5.7 - explain page heads: a small map of every head, softmax beside Performer. */
#include "explain_page.h"

#include "attention_weights.h"

#include <math.h>

/* How much weight moves to other tokens than under softmax: the mean over the rows. */
static double distance(const float *softmax, const float *favor, size_t T) {
    double sum = 0;
    for (size_t i = 0; i < T * T; i++) sum += fabs((double)favor[i] - (double)softmax[i]) / 2;
    return sum / (double)T;
}

static void one_head(html *p, explain_page *e, uint32_t layer, uint32_t head) {
    size_t T = e->run->T;
    const float *softmax = e->softmax + head * T * T, *favor = e->favor + head * T * T;
    double moved = distance(softmax, favor, T);
    bool chosen = layer == e->run->settings.layer && head == e->run->settings.head;
    html_add(p,
             "<a class=\"pair\" href=\"#layer=%u&amp;head=%u\" data-layer=\"%u\" data-head=\"%u\" "
             "aria-label=\"Layer %u, head %u: %.2f of the weight moved\"%s><img alt=\"\" "
             "width=\"%zu\" height=\"%zu\" src=\"",
             layer, head, layer, head, layer, head, moved, chosen ? " aria-current=\"true\"" : "",
             T, T);
    explain_page_map(p, e, softmax);
    html_add(p, "\"><img alt=\"\" width=\"%zu\" height=\"%zu\" src=\"", T, T);
    explain_page_map(p, e, favor);
    html_add(p, "\"><span>%u.%u</span><span>%.2f</span></a>\n", layer, head, moved);
}

static bool one_layer(html *p, explain_page *e, uint32_t layer) {
    const explain_run *run = e->run;
    const float *q = qkv_rows_q(&e->rows, layer), *k = qkv_rows_k(&e->rows, layer);
    if (!pf_attention_weights(run->softmax.session, layer, q, k, run->T, e->softmax, &p->error) ||
        !pf_attention_weights(run->favor.session, layer, q, k, run->T, e->favor, &p->error))
        return false;
    html_add(p, "<div class=\"layer\"><h3>Layer %u</h3>\n", layer);
    for (uint32_t h = 0; h < run->model->n_heads; h++) one_head(p, e, layer, h);
    html_add(p, "</div>\n");
    return true;
}

void explain_page_heads(html *p, explain_page *e) {
    const pf_model *m = e->run->model;
    html_add(p,
             "<section id=\"heads\"><h2>Every layer and head</h2>\n<p>Each pair of maps is one "
             "head: softmax on the left, Performer on the right. A row is a token that attends, a "
             "column a token that it attends to; the stronger the blue, the larger the weight "
             "(orange: below 0). Under it stand layer.head, and how much of the weight Performer "
             "moves to other tokens, as the mean of all rows. Choose a pair to see it below.%s</p>"
             "\n<div class=\"maps\" tabindex=\"0\" role=\"group\" aria-label=\"Attention maps of "
             "every layer and head\">\n",
             e->step > 1 ? " Some layers are left out to keep this file small." : "");
    bool good = true;
    for (uint32_t l = 0; good && l < m->n_layers; l++)
        if (explain_page_shows(e, l)) good = one_layer(p, e, l);
    if (!good) p->failed = true;
    html_add(p, "</div></section>\n");
}
