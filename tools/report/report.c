/* floor 5.7 - report: a comparison as one self-contained HTML file. */
#include "report.h"

#include "page.h"

static void introduction(html *p, const report *r) {
    const pf_model *m = r->c->model;
    html_add(p, "<h1>Softmax and Performer attention, side by side</h1>\n<p><code>");
    html_string(p, r->names->model);
    html_add(p, "</code> (%s, %u layers, %u heads of %u) read <em>", m->family, m->n_layers,
             m->n_heads, m->head_dim);
    html_string(p, r->names->text);
    html_add(p,
             "</em>: %zu tokens. Every number and picture here comes from sessions of the engine, "
             "one for each setting.</p>\n",
             r->names->n_tokens);
    html_add(p,
             "<nav aria-label=\"Sections\"><a href=\"#numbers\">Numbers</a> %s<a "
             "href=\"#texts\">Texts</a> <a href=\"#attention\">Attention</a> <a "
             "href=\"#divergence\">Divergence</a> <a href=\"#layers\">Layers</a> <a "
             "href=\"#features\">Features</a> <a href=\"#length\">Length</a></nav>\n",
             r->recall ? "<a href=\"#recall\">Recall</a> " : "");
}

bool report_write(const report *r, const char *path, pf_error *error) {
    html p = {0};
    page_begin(&p, r->names->model, "softmax and Performer attention", NULL);
    introduction(&p, r);
    report_table(&p, r);
    if (r->recall) report_recall(&p, r);
    report_texts(&p, r);
    if (r->rows) report_heads(&p, r);
    report_divergence(&p, r);
    report_layers(&p, r);
    report_z(&p, r);
    if (r->errors) report_features(&p, r);
    if (r->scaling) report_scaling(&p, r);
    html_add(&p, "</main>\n");
    page_script(&p, report_js);
    return page_write(&p, path, error);
}
