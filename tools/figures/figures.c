/* floor 5.9 - figures: a program that measures and draws what docs/figures shows.
 *
 *   figures --list            the names, and of each: quick, script or drawing
 *   figures measure NAME      its table, as CSV
 *   figures draw NAME [CSV]   the SVG file; a drawing needs no CSV
 *
 * Run from the top folder. scripts/figures calls it; `make figures` does it all.
 */
#include "figure.h"

#include "file.h"

#include <stdio.h>
#include <string.h>

static const figure figures[] = {
    {.name = "cost-time", .has_table = true},
    {.name = "cost-state", .measure = measure_state_bytes, .has_table = true},
    {.name = "row", .draw = draw_row, .measure = measure_row, .has_table = true},
    {.name = "histogram", .measure = measure_histogram, .has_table = true},
    {.name = "variance", .measure = measure_variance, .has_table = true},
    {.name = "orthogonal", .measure = measure_orthogonal, .has_table = true},
    {.name = "state", .draw = draw_state},
    {.name = "parts", .draw = draw_parts},
    {.name = "kl-bytes", .has_table = true},
    {.name = "kl-bytes-smollm2", .has_table = true},
    {.name = "position", .has_table = true},
    {.name = "position-smollm2", .has_table = true},
    {.name = "recall", .has_table = true},
    {.name = "operations", .measure = measure_operations, .no_figure = true},
};
enum { FIGURES = sizeof figures / sizeof figures[0] };

static const figure *find_figure(const char *name) {
    for (int i = 0; i < FIGURES; i++)
        if (strcmp(figures[i].name, name) == 0) return &figures[i];
    return NULL;
}

static int list_figures(void) {
    output out = {0};
    for (int i = 0; i < FIGURES; i++) {
        const figure *f = &figures[i];
        if (f->no_figure) continue;
        const char *kind = f->measure ? "quick" : f->has_table ? "script" : "drawing";
        output_printf(&out, "%s %s\n", f->name, kind);
    }
    return output_finish(&out);
}

static bool draw(const figure *f, const char *path, html *p, pf_error *error) {
    pf_file file = {0};
    csv_table data = {0};
    bool good = true;
    if (f->has_table)
        good = (path || pf_fail(error, "figure %s is drawn from a table: name its CSV", f->name)) &&
               pf_file_open(path, &file, error) &&
               csv_table_parse(&data, (const char *)file.bytes.data, file.bytes.size, path, error);
    if (good)
        good = f->draw ? f->draw(p, f->has_table ? &data : NULL, error)
                       : draw_chart(p, f->name, &data, error);
    csv_table_free(&data);
    pf_file_close(&file);
    if (good && p->failed) *error = p->error;
    return good && !p->failed;
}

static bool measure(const figure *f, output *out, pf_error *error) {
    if (f->measure) return f->measure(out, error);
    return pf_fail(error, "figure %s is not measured here: see scripts/measure-figures", f->name);
}

int main(int argc, char **argv) {
    terminal_start();
    pf_error error = {0};
    if (argc == 2 && strcmp(argv[1], "--list") == 0) return list_figures();
    bool draws = (argc == 3 || argc == 4) && strcmp(argv[1], "draw") == 0;
    bool measures = argc == 3 && strcmp(argv[1], "measure") == 0;
    if (!draws && !measures)
        return complain_usage("figures", "usage: figures --list | measure NAME | draw NAME [CSV]");
    const figure *f = find_figure(argv[2]);
    if (!f) return complain_usage("figures", "there is no figure \"%.40s\": see --list", argv[2]);
    if (draws && f->no_figure) return complain_usage("figures", "%s is no figure", f->name);
    html p = {0};
    output out = {0};
    bool good = draws ? draw(f, argv[3], &p, &error) && output_write(&out, p.text, p.used)
                      : measure(f, &out, &error);
    html_free(&p);
    int status = output_finish(&out);
    return good || !error.message[0] ? status : complain(&error);
}
