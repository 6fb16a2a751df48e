/* floor 5.5 - training curves, printed: the losses of a run as a table and as a drawing. */
#include "training_curves_print.h"

#include "buffer.h"
#include "file.h"
#include "memory.h"
#include "svg_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Nothing for a loss that was not measured. */
static int put_loss(char *text, float loss) {
    return isnan(loss) ? 0 : snprintf(text, 24, "%.6f", (double)loss);
}

bool training_curves_csv(const pf_training_curves *c, const char *path, pf_error *error) {
    static const char head[] = "step,loss,validation_loss,other_loss\n";
    pf_buffer text = {0};
    bool good = pf_buffer_put(&text, head, strlen(head), error);
    for (size_t i = 0, held = 0; good && i < c->n_train; i++) {
        char line[96];
        int n = snprintf(line, sizeof line, "%zu,%.6f,", i + 1, (double)c->train[i]);
        while (held < c->n_held && c->held[held].step < i + 1) held++;
        bool measured = held < c->n_held && c->held[held].step == i + 1;
        if (measured) n += put_loss(line + n, c->held[held].loss);
        line[n++] = ',';
        if (measured) n += put_loss(line + n, c->held[held].other);
        line[n++] = '\n';
        good = pf_buffer_put(&text, line, (size_t)n, error);
    }
    good = good && pf_file_write(path, text.bytes, text.n, error);
    pf_free(text.bytes);
    return good;
}

/* Means of up to 1000 equal stretches of the steps. */
static size_t smooth(const pf_training_curves *c, double *x, double *y) {
    size_t stretch = (c->n_train + 999) / 1000, n = 0;
    for (size_t i = 0; i < c->n_train; i += stretch, n++) {
        size_t end = i + stretch < c->n_train ? i + stretch : c->n_train;
        double sum = 0;
        for (size_t j = i; j < end; j++) sum += (double)c->train[j];
        x[n] = 0.5 * (double)(i + 1 + end);
        y[n] = sum / (double)(end - i);
    }
    return n;
}

bool training_curves_svg(const pf_training_curves *c, const char *title, const char *path,
                         pf_error *error) {
    size_t n = c->n_held;
    double *values = pf_calloc(2000 + 3 * n, sizeof *values, "the curves", error);
    if (!values) return false;
    double *x = values, *y = x + 1000, *held_x = y + 1000, *held = held_x + n, *other = held + n;
    for (size_t i = 0; i < n; i++) {
        held_x[i] = (double)c->held[i].step;
        held[i] = (double)c->held[i].loss;
        other[i] = (double)c->held[i].other;
    }
    chart_series series[] = {
        {.name = "steps", .x = x, .y = y, .n = smooth(c, x, y), .colour = 0},
        {.name = "held out", .x = held_x, .y = held, .n = n, .colour = 1, .dots = true},
        {.name = "other attention", .x = held_x, .y = other, .n = n, .colour = 2, .dashed = true},
    };
    bool both = n > 0 && !isnan(c->held[n - 1].other);
    chart drawing = {.id = "training",
                     .title = title,
                     .about = "Loss in nats per token against steps of training",
                     .x_label = "steps",
                     .y_label = "loss, nats per token",
                     .wide = true,
                     .log_y = true,
                     .series = series,
                     .n = both    ? 3
                          : n > 0 ? 2
                                  : 1};
    html page = {0};
    svg_file_chart(&page, &drawing);
    bool good = page.failed ? pf_fail(error, "%s", page.error.message)
                            : pf_file_write(path, page.text, page.used, error);
    html_free(&page);
    pf_free(values);
    return good;
}
