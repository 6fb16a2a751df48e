/* floor 5.6 - scaling print: the measurements as a table, CSV or JSON. */
#include "scaling.h"

#include "resources.h"
#include "terminal.h"

#include <math.h>
#include <stdio.h>

static void print_cells(output *out, const scaling_point *p) {
    char bytes[16];
    if (p->measured)
        output_printf(out, " %8.3f %8.3f", p->read_ms, p->write_ms);
    else
        output_printf(out, " %8s %8s", "-", "-");
    output_printf(out, " %9s", human_bytes(p->state_bytes, bytes));
}

static void print_crossings(const scaling *s, size_t r, output *out) {
    const scaling_row *row = &s->rows[r];
    double measured = row->write_crossing;
    output_printf(out, "softmax takes longer to write a token ");
    if (measured == 0)
        output_printf(out, "already at %zu tokens", s->contexts[0]);
    else if (isfinite(measured))
        output_printf(out, "from about %.0f tokens", measured);
    else
        output_printf(out, "at none of the lengths measured");
    output_printf(out, " (theory: %.0f)\nsoftmax's state is larger from %zu tokens\n",
                  scaling_theory_crossing(s, r), row->state_crossing);
}

static void print_against(const scaling *s, size_t r, output *out) {
    const scaling_row *softmax = &s->rows[0], *row = &s->rows[r];
    output_printf(out, "%8s   %-26s   %-26s   %s\n", "", "softmax", row->name,
                  "multiplications, theory");
    output_printf(out, "%8s %8s %8s %9s %8s %8s %9s %12s %12s\n", "context", "read", "write",
                  "state", "read", "write", "state", "2 d n", "this");
    for (size_t i = 0; i < s->n_contexts; i++) {
        output_printf(out, "%8zu", s->contexts[i]);
        print_cells(out, &softmax->points[i]);
        print_cells(out, &row->points[i]);
        output_printf(out, " %12.0f %12.0f\n", scaling_theory(s, 0, s->contexts[i]),
                      scaling_theory(s, r, s->contexts[i]));
    }
    output_printf(out, "\n");
    print_crossings(s, r, out);
}

void scaling_print_table(const scaling *s, output *out) {
    for (size_t r = 1; r < s->n_rows; r++) {
        print_against(s, r, out);
        output_printf(out, "\n");
    }
    output_printf(out,
                  "read, write: ms per token after that many others, for many tokens at once and "
                  "for one (the\nwhole model); state: bytes kept. Theory: per token, layer and "
                  "head, attention alone: 2 d n\nfor exact attention to n tokens, 2 M d for M "
                  "features. -: not reached in %.0f s (--seconds).\n",
                  s->seconds);
}

void scaling_print_csv(const scaling *s, output *out) {
    output_printf(out, "name,context,prefill_ms_per_token,decode_ms_per_token,state_bytes,"
                       "multiplications_per_head\n");
    for (size_t r = 0; r < s->n_rows; r++)
        for (size_t i = 0; i < s->n_contexts; i++) {
            const scaling_point *p = &s->rows[r].points[i];
            output_printf(out, "\"%s\",%zu,", s->rows[r].name, s->contexts[i]);
            if (p->measured)
                output_printf(out, "%.5f,%.5f", p->read_ms, p->write_ms);
            else
                output_printf(out, ",");
            output_printf(out, ",%zu,%.0f\n", p->state_bytes, scaling_theory(s, r, s->contexts[i]));
        }
}

static json_t *number_or_null(bool known, double value) {
    return known && isfinite(value) ? json_real(value) : json_null();
}

static json_t *point_json(const scaling *s, size_t r, size_t i) {
    const scaling_point *p = &s->rows[r].points[i];
    return json_pack("{s:s, s:I, s:o, s:o, s:I, s:f}", "name", s->rows[r].name, "context",
                     (json_int_t)s->contexts[i], "prefill_ms_per_token",
                     number_or_null(p->measured, p->read_ms), "decode_ms_per_token",
                     number_or_null(p->measured, p->write_ms), "state_bytes",
                     (json_int_t)p->state_bytes, "multiplications_per_head",
                     scaling_theory(s, r, s->contexts[i]));
}

json_t *scaling_json(const scaling *s) {
    json_t *contexts = json_array(), *results = json_array(), *crossings = json_array();
    for (size_t i = 0; i < s->n_contexts; i++)
        json_array_append_new(contexts, json_integer((json_int_t)s->contexts[i]));
    for (size_t r = 0; r < s->n_rows; r++)
        for (size_t i = 0; i < s->n_contexts; i++)
            json_array_append_new(results, point_json(s, r, i));
    for (size_t r = 1; r < s->n_rows; r++)
        json_array_append_new(
            crossings, json_pack("{s:s, s:o, s:I, s:o}", "name", s->rows[r].name, "decode",
                                 number_or_null(true, s->rows[r].write_crossing), "state_bytes",
                                 (json_int_t)s->rows[r].state_crossing, "theory",
                                 number_or_null(true, scaling_theory_crossing(s, r))));
    return json_pack("{s:o, s:o, s:o}", "contexts", contexts, "results", results, "crossings",
                     crossings);
}
