/* floor 5.7 - report: a comparison as one self-contained HTML file. */
#include "report.h"

#include "file.h"

#include <string.h>

static void head(html *p, const report *r) {
    html_add(p,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
             "data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
             "<link rel=\"icon\" href=\"data:,\">\n<title>");
    html_string(p, r->names->model);
    html_add(p, ": softmax and Performer attention</title>\n<style>\n");
    html_bytes(p, report_css, strlen(report_css));
    html_add(p, "</style>\n</head>\n<body>\n<main>\n");
}

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
    head(&p, r);
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
    html_add(&p, "</main>\n<script>\n");
    html_bytes(&p, report_js, strlen(report_js));
    html_add(&p, "</script>\n</body>\n</html>\n");
    if (p.failed) {
        pf_fail(error, "%s", p.error.message);
        html_free(&p);
        return false;
    }
    pf_writer *writer = pf_writer_open(path, error);
    bool good = writer && pf_writer_write(writer, p.text, p.used, error);
    if (good)
        good = pf_writer_commit(writer, error);
    else
        pf_writer_abort(writer);
    html_free(&p);
    return good;
}
