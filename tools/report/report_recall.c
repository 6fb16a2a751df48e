/* floor 5.7 - report recall: how far back each setting remembers. */
#include "report.h"

#include <math.h>

static void cell(html *p, const recall *r, size_t row, recall_task task, size_t d) {
    const recall_score *s = recall_at(r, row, task, d);
    if (!s->questions) {
        html_add(p, "<td></td>");
        return;
    }
    html_add(p, recall_counts(r, task, d) ? "<td>" : "<td class=\"dim\">softmax fails: ");
    if (task == RECALL_COPY)
        html_add(p, "%.3f, %.0f %%", recall_loss(s), 100 * recall_accuracy(s, task));
    else
        html_add(p, "%zu of %zu, %.1f", s->exact, s->questions, recall_graded(r, row, task, d));
    html_add(p, "</td>");
}

static void row_name(html *p, const recall *r, size_t row) {
    html_add(p, "<tr><th scope=\"row\"><span class=\"key c%d%s\"></span>", report_colour(row),
             report_dashed(row) ? " dashed" : "");
    html_string(p, r->rows[row].name);
    html_add(p, "</th>");
}

static void table_start(html *p, const recall *r, const char *first) {
    html_add(p, "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">attention</th>%s",
             first);
    for (size_t d = 0; d < r->n_distances; d++)
        html_add(p, "<th scope=\"col\">%zu</th>", r->distances[d]);
    html_add(p, "</tr></thead><tbody>\n");
}

static void summary(html *p, const recall *r) {
    table_start(p, r, "<th scope=\"col\">radius</th><th scope=\"col\">KL</th>");
    for (size_t row = 0; row < r->n_rows; row++) {
        size_t radius = 0;
        row_name(p, r, row);
        if (recall_radius(r, row, &radius))
            html_add(p, "<td>%zu</td>", radius);
        else
            html_add(p, "<td>&lt; %zu</td>", r->distances[0]);
        html_add(p, row ? "<td>%.4f</td>" : "<td></td>", row ? row_kl(&r->rows[row]) : 0);
        for (size_t d = 0; d < r->n_distances; d++) {
            double kept = recall_kept_of_all(r, row, d);
            if (isnan(kept))
                html_add(p, "<td></td>");
            else
                html_add(p, "<td>%.0f %%</td>", 100 * kept);
        }
        html_add(p, "</tr>\n");
    }
    html_add(p, "</tbody></table></div>\n");
}

void report_recall(html *p, const report *all) {
    const recall *r = all->recall;
    html_add(p,
             "<section id=\"recall\"><h2>How far back it remembers</h2>\n<p>What a setting keeps "
             "of what softmax remembers, by the number of tokens in between. The radius is the "
             "largest distance up to which that is at least 90 %%. Copy: the loss of a passage "
             "that is read again (%.3f nats at first reading), and how often its most probable "
             "token is right. The other tasks: right answers, and log p(right answer) - log "
             "p(wrong ones). Where softmax itself fails, a task does not count.</p>\n",
             recall_loss(&r->unseen));
    summary(p, r);
    for (size_t t = 0; t < RECALL_TASKS; t++) {
        html_add(p, "<h3>%s</h3>\n", recall_task_names[t]);
        table_start(p, r, "");
        for (size_t row = 0; row < r->n_rows; row++) {
            row_name(p, r, row);
            for (size_t d = 0; d < r->n_distances; d++) cell(p, r, row, (recall_task)t, d);
            html_add(p, "</tr>\n");
        }
        html_add(p, "</tbody></table></div>\n");
    }
    html_add(p, "</section>\n");
}
