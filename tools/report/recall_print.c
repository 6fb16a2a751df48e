/* floor 5.7 - recall print: how far each setting remembers, as a table, JSON or CSV. */
#include "recall_print.h"

#include "resources.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL = 12, MOST_NAME = 34 };

/* ---- JSON */

static json_t *number_or_null(bool known, double value) {
    return known && isfinite(value) ? json_real(value) : json_null();
}

static json_t *entry_json(const recall *r, size_t row, recall_task task, size_t distance) {
    const recall_score *s = recall_at(r, row, task, distance);
    bool copy = task == RECALL_COPY, counts = recall_counts(r, task, distance);
    double graded = recall_graded(r, row, task, distance),
           softmax = recall_graded(r, 0, task, distance);
    return json_pack("{s:s, s:s, s:I, s:f, s:f, s:o, s:f, s:o, s:o, s:b, s:I}", "setting",
                     r->rows[row].name, "task", recall_task_names[task], "distance",
                     (json_int_t)r->distances[distance], "loss", recall_loss(s), "accuracy",
                     recall_accuracy(s, task), "choice",
                     number_or_null(!copy, (double)s->chosen / (double)s->questions), "graded",
                     graded, "graded_share", number_or_null(counts, graded / softmax), "kept",
                     counts ? json_real(recall_kept(r, row, task, distance)) : json_null(),
                     "softmax_fails", !counts, "questions", (json_int_t)s->questions);
}

static void set_radius(const recall *r, size_t row, json_t *json) {
    size_t radius = 0;
    bool any = recall_radius(r, row, &radius);
    json_object_set_new(json, "recall_radius",
                        any ? json_integer((json_int_t)radius) : json_null());
    json_t *tasks = json_object();
    for (size_t t = 0; t < RECALL_TASKS; t++)
        json_object_set_new(tasks, recall_task_names[t],
                            recall_task_radius(r, row, (recall_task)t, &radius)
                                ? json_integer((json_int_t)radius)
                                : json_null());
    json_object_set_new(json, "recall_task_radius", tasks);
}

bool recall_add_json(const recall *r, json_t *json) {
    json_t *list = json_array(), *settings = json_object_get(json, "settings");
    for (size_t row = 0; row < r->n_rows; row++)
        for (size_t t = 0; t < RECALL_TASKS; t++)
            for (size_t d = 0; d < r->n_distances; d++)
                if (recall_at(r, row, (recall_task)t, d)->questions)
                    json_array_append_new(list, entry_json(r, row, (recall_task)t, d));
    set_radius(r, 0, json_object_get(json, "reference"));
    for (size_t row = 1; row < r->n_rows; row++)
        set_radius(r, row, json_array_get(settings, row - 1));
    json_object_set_new(json, "recall_unseen_loss", json_real(recall_loss(&r->unseen)));
    return json_object_set_new(json, "recall", list) == 0;
}

/* ---- comma-separated values */

void recall_print_csv(const recall *r, output *out) {
    output_printf(out, "\nsetting,task,distance,loss,accuracy,choice,graded,kept,questions\n");
    for (size_t row = 0; row < r->n_rows; row++)
        for (size_t t = 0; t < RECALL_TASKS; t++)
            for (size_t d = 0; d < r->n_distances; d++) {
                recall_task task = (recall_task)t;
                const recall_score *s = recall_at(r, row, task, d);
                if (!s->questions) continue;
                output_printf(out, "\"%s\",%s,%zu,%.6f,%.4f,", r->rows[row].name,
                              recall_task_names[t], r->distances[d], recall_loss(s),
                              recall_accuracy(s, task));
                if (task != RECALL_COPY)
                    output_printf(out, "%.4f", (double)s->chosen / (double)s->questions);
                output_printf(out, ",%.6f,", recall_graded(r, row, task, d));
                if (recall_counts(r, task, d))
                    output_printf(out, "%.4f", recall_kept(r, row, task, d));
                output_printf(out, ",%zu\n", s->questions);
            }
}

/* ---- the table */

static int name_width(const recall *r) {
    int width = 9;
    for (size_t i = 0; i < r->n_rows; i++)
        if ((int)strlen(r->rows[i].name) > width) width = (int)strlen(r->rows[i].name);
    return width < MOST_NAME ? width : MOST_NAME;
}

static void print_name(const recall *r, size_t row, output *out) {
    const char *name = r->rows[row].name;
    int width = name_width(r);
    if ((int)strlen(name) > width)
        output_printf(out, "%s\n%*s", name, width, "");
    else
        output_printf(out, "%-*s", width, name);
}

static void print_distances(const recall *r, output *out) {
    for (size_t d = 0; d < r->n_distances; d++) output_printf(out, " %*zu", CELL, r->distances[d]);
    output_printf(out, "\n");
}

/* "512": up to there; "2048+": at every distance measured; "< 128": not even at the shortest. */
static void write_radius(const recall *r, size_t row, char *text, size_t size) {
    size_t radius = 0;
    if (!recall_radius(r, row, &radius))
        snprintf(text, size, isnan(recall_kept_of_all(r, row, 0)) ? "unknown" : "< %zu",
                 r->distances[0]);
    else
        snprintf(text, size, "%zu%s", radius,
                 radius == r->distances[r->n_distances - 1] ? "+" : "");
}

static void print_summary(const recall *r, text_style s, output *out) {
    output_printf(out, "\n%srecall: share kept of what softmax has, by distance in tokens%s\n%-*s",
                  s.bold, s.plain, name_width(r), "");
    output_printf(out, " %8s %8s %9s", "radius", "KL", "state");
    print_distances(r, out);
    for (size_t row = 0; row < r->n_rows; row++) {
        char radius[24], bytes[16];
        pf_session_options own = r->rows[row].options;
        own.context = r->longest;
        write_radius(r, row, radius, sizeof radius);
        print_name(r, row, out);
        output_printf(out, " %8s", radius);
        if (row == 0)
            output_printf(out, " %8s", "");
        else
            output_printf(out, " %8.4f", row_kl(&r->rows[row]));
        output_printf(out, " %9s", human_bytes(pf_state_bytes(r->model, &own), bytes));
        for (size_t d = 0; d < r->n_distances; d++) {
            double kept = recall_kept_of_all(r, row, d);
            if (isnan(kept))
                output_printf(out, " %*s", CELL, "-");
            else
                output_printf(out, " %*.0f%%", CELL - 1, 100 * kept);
        }
        output_printf(out, "\n");
    }
}

static void print_cell(const recall *r, size_t row, recall_task task, size_t d, output *out) {
    const recall_score *s = recall_at(r, row, task, d);
    char cell[40] = "";
    bool fails = s->questions && !recall_counts(r, task, d);
    if (s->questions && task == RECALL_COPY)
        snprintf(cell, sizeof cell, "%s%.3f %3.0f%%", fails ? "x " : "", recall_loss(s),
                 100 * recall_accuracy(s, task));
    else if (s->questions)
        snprintf(cell, sizeof cell, "%s%zu/%zu %5.1f", fails ? "x " : "", s->exact, s->questions,
                 recall_graded(r, row, task, d));
    output_printf(out, " %*s", CELL, s->questions ? cell : "-");
}

static bool was_asked(const recall *r, recall_task task) {
    for (size_t d = 0; d < r->n_distances; d++)
        if (recall_at(r, 0, task, d)->questions) return true;
    return false;
}

static void print_task(const recall *r, recall_task task, text_style s, output *out) {
    static const char *const about[RECALL_TASKS] = {"a passage read again", "five digits",
                                                    "one of eight named words",
                                                    "the latest of three values"};
    if (!was_asked(r, task)) return;
    output_printf(out, "\n%s%s: %s; ", s.bold, recall_task_names[task], about[task]);
    if (task == RECALL_COPY)
        output_printf(out, "loss in nats (%.3f at first reading), top-1%s\n",
                      recall_loss(&r->unseen), s.plain);
    else
        output_printf(out, "right answers, margin in nats%s\n", s.plain);
    output_printf(out, "%*s", name_width(r), "");
    print_distances(r, out);
    for (size_t row = 0; row < r->n_rows; row++) {
        print_name(r, row, out);
        for (size_t d = 0; d < r->n_distances; d++) print_cell(r, row, task, d, out);
        output_printf(out, "\n");
    }
}

void recall_print_table(const recall *r, output *out) {
    text_style s = choose_style();
    print_summary(r, s, out);
    for (size_t t = 0; t < RECALL_TASKS; t++) print_task(r, (recall_task)t, s, out);
    output_printf(
        out,
        "\n%sdistance: tokens of other text in between. radius: up to there at least 90 %% of what "
        "softmax\nhas is kept (+: at every distance measured). state: bytes for the longest of "
        "these texts.\nmargin: log p(right answer) - log p(wrong ones). x: softmax itself fails, "
        "so this does not count.%s\n",
        s.dim, s.plain);
}
