/* floor 5.7 - report text: the table of numbers, and the continuations. */
#include "report.h"

#include "continuation.h"
#include "memory.h"
#include "resources.h"

#include <math.h>
#include <string.h>

static void key(html *p, size_t row) {
    html_add(p, "<span class=\"key c%d%s\"></span>", report_colour(row),
             report_dashed(row) ? " dashed" : "");
}

static void table_row(html *p, const report *r, size_t i) {
    const compared *row = &r->c->rows[i];
    char bytes[16];
    html_add(p, "<tr><th scope=\"row\">");
    key(p, i);
    html_string(p, row->name);
    html_add(p, "</th><td>%.3f</td>", exp(row_loss(row)));
    if (i == 0)
        html_add(p, "<td></td><td></td><td></td>");
    else
        html_add(p, "<td>%.4f</td><td>%.1f %%</td><td>%.1f %%</td>", row_kl(row),
                 100 * row_top1(row), 100 * row_top5(row));
    html_add(p, "<td>%s</td><td>%.3f</td><td>%.3f</td><td>", human_bytes(row->state_bytes, bytes),
             row_prefill_ms(row), row_decode_ms(row));
    if (row->stats.bad_denominators)
        html_add(p, "%llu", (unsigned long long)row->stats.bad_denominators);
    html_add(p, "</td></tr>\n");
}

void report_table(html *p, const report *r) {
    html_add(
        p, "<section id=\"numbers\"><h2>Numbers</h2>\n<p>KL: the mean divergence of a setting's "
           "predictions from softmax's, in nats per token. Top-1, top-5: how many of softmax's 1 "
           "and 5 most probable tokens agree. State: the bytes kept for this text. Read and write: "
           "ms per token. Bad rows: attention rows whose denominator was not positive.</p>\n"
           "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
           "aria-label=\"Numbers\"><table><thead><tr><th scope=\"col\">attention</th><th "
           "scope=\"col\">perplexity</th><th scope=\"col\">KL</th><th scope=\"col\">top-1</th>"
           "<th scope=\"col\">top-5</th><th scope=\"col\">state</th><th scope=\"col\">read</th>"
           "<th scope=\"col\">write</th><th scope=\"col\">bad rows</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < r->c->n; i++) table_row(p, r, i);
    html_add(p, "</tbody></table></div></section>\n");
}

static void prompt(html *p, const comparison *c) {
    char *text = NULL;
    size_t ignored;
    if (!text_of(c->tokenizer, c->prompt, c->n_prompt, 0, &text, &ignored, NULL)) return;
    size_t n = strlen(text), first = n > 300 ? n - 300 : 0;
    while (first > 0 && text[first] && text[first - 1] != ' ') first++;
    html_add(p, "<blockquote>%s", first ? "… " : "");
    html_string(p, text + first);
    html_add(p, "</blockquote>\n");
    pf_free(text);
}

static void article(html *p, const comparison *c, size_t i) {
    const compared *row = &c->rows[i];
    char *text = NULL;
    size_t split = 0, before = i == 0 ? SIZE_MAX : row->parts_at;
    if (!text_of(c->tokenizer, row->written.ids, row->written.count, before, &text, &split, NULL))
        return;
    html_add(p, "<article%s><h3>", i == 0 ? " class=\"exact\"" : "");
    html_string(p, row->name);
    if (i > 0 && row->parts_at == SIZE_MAX)
        html_add(p, " <small>the same text</small>");
    else if (i > 0)
        html_add(p, " <small>differs after %zu token%s</small>", row->parts_at,
                 row->parts_at == 1 ? "" : "s");
    html_add(p, "</h3><p>");
    html_text(p, text, split);
    if (text[split]) {
        html_add(p, "<mark>");
        html_string(p, text + split);
        html_add(p, "</mark>");
    }
    html_add(p, "</p></article>\n");
    pf_free(text);
}

void report_texts(html *p, const report *r) {
    if (!r->c->n_write) return;
    html_add(p,
             "<section id=\"texts\"><h2>What each setting writes</h2>\n<p>Greedy continuations of "
             "the first %zu tokens, which end like this:</p>\n",
             r->c->n_prompt);
    prompt(p, r->c);
    html_add(p, "<div class=\"texts\">\n");
    for (size_t i = 0; i < r->c->n; i++) article(p, r->c, i);
    html_add(p, "</div></section>\n");
}
