/* floor 5.7 - explain page: one run of `explain` as a self-contained page for a browser. */
#include "explain_page.h"

#include "memory.h"
#include "page.h"
#include "tokenizer.h"

#include <math.h>
#include <string.h>

enum { MOST_PIXELS = 300 * 80 * 80 }; /* of one kind: 300 heads with 80 tokens */

static bool open_page(explain_page *e, const explain_run *run, pf_error *error) {
    const pf_model *m = run->model;
    size_t T = run->T, H = m->n_heads, D = m->head_dim, M = run->favor.trace.M;
    size_t pixels = T * T > D * M ? T * T : D * M;
    size_t layers = MOST_PIXELS / (H * T * T);
    if (layers == 0) layers = 1;
    e->step = (uint32_t)((m->n_layers + layers - 1) / layers);
    explain_page_palettes(e);
    e->softmax = pf_calloc(H * T, T * sizeof(float), "attention maps", error);
    e->favor = pf_calloc(H * T, T * sizeof(float), "attention maps", error);
    e->pixels = pf_calloc(pixels, 1, "attention maps", error);
    const pf_session_options *leads =
        run->settings.favor_leads ? &run->settings.favor : &run->settings.softmax;
    return e->softmax && e->favor && e->pixels &&
           qkv_rows_read(&e->rows, m, leads, run->ids, T, error);
}

static void close_page(explain_page *e) {
    pf_free(e->softmax);
    pf_free(e->favor);
    pf_free(e->pixels);
    qkv_rows_free(&e->rows);
}

/* The text as it was, lines and all. */
static void whole_text(html *p, const explain_run *run) {
    const pf_tokenizer *tokenizer = run->loaded->tokenizer;
    for (size_t t = 0; t < run->T; t++) {
        size_t n = 0;
        const char *bytes = tokenizer ? pf_tokenizer_bytes(tokenizer, run->ids[t], true, &n) : NULL;
        if (bytes && n > 0)
            html_text(p, bytes, n);
        else
            html_add(p, "#%d ", (int)run->ids[t]);
    }
}

static void introduction(html *p, const explain_page *e) {
    const explain_run *run = e->run;
    const pf_model *m = run->model;
    html_add(p, "<h1>One text, token by token: softmax and Performer attention</h1>\n<p><code>");
    html_string(p, e->model);
    html_add(p,
             "</code> (%s, %u layers, %u heads of %u numbers) read %zu tokens. Everything on this "
             "page is drawn from the numbers of that run. Queries, keys and values are those of "
             "the model under %s; both kinds of attention get the same ones.</p>\n<blockquote>",
             m->family, m->n_layers, m->n_heads, m->head_dim, run->T,
             run->settings.favor_leads ? "Performer attention" : "softmax");
    whole_text(p, run);
    html_add(p, "</blockquote>\n<nav aria-label=\"Sections\"><a href=\"#next\">Next token</a> <a "
                "href=\"#heads\">Every head</a> <a href=\"#one\">One head</a> <a "
                "href=\"#state\">Its state</a></nav>\n<noscript><p>This page does more with "
                "JavaScript: any head, any token, and sliders. Without it you see the head and the "
                "last token that <code>performer explain</code> was asked for.</p></noscript>\n");
}

static void prediction_cells(html *p, const explain_run *run, const explain_side *side, size_t b) {
    int32_t id = side->next.best[b];
    if (id < 0) {
        html_add(p, "<td></td><td></td><td></td>");
        return;
    }
    double probability = exp((double)side->logits[id] - side->next.log_sum);
    html_add(p, "<td class=\"token\"><code>");
    explain_page_word(p, run, id, SIZE_MAX);
    html_add(p,
             "</code></td><td>%.4f</td><td class=\"bar\"><span style=\"width:%.1f%%\"></span></td>",
             probability, 100 * probability);
}

static void next_token(html *p, const explain_page *e) {
    const explain_run *run = e->run;
    html_add(p,
             "<section id=\"next\"><h2>What comes next</h2>\n<p>The five likeliest next tokens and "
             "their probabilities, after the whole model has run under one kind of attention and "
             "then under the other. The second prediction is %.4f nats from the first "
             "(Kullback-Leibler divergence).</p>\n<div class=\"fits\"><table class=\"next\">"
             "<thead><tr><td></td><th colspan=\"3\" scope=\"colgroup\">softmax</th><th "
             "colspan=\"3\" scope=\"colgroup\">Performer</th></tr></thead><tbody>\n",
             run->kl);
    for (size_t b = 0; b < TOP_TOKENS; b++) {
        html_add(p, "<tr><th scope=\"row\">%zu</th>", b + 1);
        prediction_cells(p, run, &run->softmax, b);
        prediction_cells(p, run, &run->favor, b);
        html_add(p, "</tr>\n");
    }
    html_add(p, "</tbody></table></div></section>\n");
}

static void scripts(html *p) {
    page_script(p, explain_math_js);
    page_script(p, explain_draw_js);
    page_script(p, explain_page_js);
}

bool explain_page_write(const explain_run *run, const char *model, const char *path,
                        pf_error *error) {
    explain_page e = {.run = run, .model = model};
    html p = {0};
    if (run->T > EXPLAIN_PAGE_TOKENS)
        return pf_fail(error,
                       "the text has %zu tokens; the page of --html shows texts of up to %d: give "
                       "a shorter one",
                       run->T, EXPLAIN_PAGE_TOKENS);
    if (!open_page(&e, run, error)) {
        close_page(&e);
        return false;
    }
    page_begin(&p, model, "one text, token by token", explain_page_css);
    introduction(&p, &e);
    next_token(&p, &e);
    explain_page_heads(&p, &e);
    explain_page_head(&p, &e);
    explain_page_state(&p, &e);
    html_add(&p, "</main>\n");
    size_t used =
        p.used + strlen(explain_math_js) + strlen(explain_draw_js) + strlen(explain_page_js) + 256;
    explain_page_data(&p, &e, used < EXPLAIN_PAGE_BYTES ? EXPLAIN_PAGE_BYTES - used : 0);
    scripts(&p);
    close_page(&e);
    return page_write(&p, path, error);
}
