/* floor 5.6 - compare print: a comparison as a table, JSON or CSV. */
#include "compare_print.h"

#include "continuation.h"
#include "divergence.h"
#include "memory.h"
#include "resources.h"
#include "side_by_side.h"
#include "terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 96, MAX_NAME = 34, MOST_LAYERS = 8, MOST_TEXTS = 2 };

double row_loss(const compared *row) { return row->nll / (double)row->predicted; }
double row_kl(const compared *row) { return row->kl / (double)row->predicted; }
double row_top1(const compared *row) { return (double)row->top1 / (double)row->predicted; }
double row_top5(const compared *row) {
    return (double)row->top5 / (double)row->predicted / TOP_TOKENS;
}
double row_prefill_ms(const compared *row) {
    return row->prefill_tokens ? 1e3 * row->prefill_seconds / (double)row->prefill_tokens : 0;
}
double row_decode_ms(const compared *row) { return 1e3 * row->decode_seconds; }

static double kl_share(const compared *row, double share) {
    return quantile(row->kls_sorted, row->predicted, share);
}

/* ---- JSON */

static json_t *layers_json(const comparison *c, const compared *row) {
    json_t *layers = json_array();
    for (size_t l = 0; l < c->model->n_layers; l++) {
        const layer_error *e = &row->layers[l];
        json_array_append_new(
            layers, json_pack("{s:f, s:f}", "attention_error",
                              relative_error(e->attention_difference, e->attention_reference),
                              "residual_error",
                              relative_error(e->residual_difference, e->residual_reference)));
    }
    return layers;
}

static json_t *written_json(const comparison *c, const pf_tokens *ids) {
    char *text = NULL;
    size_t split;
    if (!text_of(c->tokenizer, ids->ids, ids->count, 0, &text, &split, NULL)) return NULL;
    json_t *json = json_text(text, strlen(text));
    pf_free(text);
    return json;
}

static json_t *row_json(const comparison *c, const compared *row) {
    json_t *json = json_pack(
        "{s:s, s:s, s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f}, s:f, s:f, s:I, s:f, s:f, s:I, s:I}",
        "name", row->name, "attention", pf_attention_name(row->options.attention.kind), "loss",
        row_loss(row), "perplexity", exp(row_loss(row)), "kl_mean", row_kl(row), "kl_quantiles",
        "p50", kl_share(row, 0.5), "p90", kl_share(row, 0.9), "p99", kl_share(row, 0.99), "max",
        kl_share(row, 1), "top1_agreement", row_top1(row), "top5_agreement", row_top5(row),
        "state_bytes", (json_int_t)row->state_bytes, "prefill_ms_per_token", row_prefill_ms(row),
        "decode_ms_per_token", row_decode_ms(row), "bad_denominators",
        (json_int_t)row->stats.bad_denominators, "redraws", (json_int_t)row->stats.redraws);
    if (!json) return NULL;
    if (row != c->rows) json_object_set_new(json, "layers", layers_json(c, row));
    if (!c->n_write) return json;
    json_object_set_new(json, "continuation", written_json(c, &row->written));
    if (row != c->rows)
        json_object_set_new(json, "parts_at",
                            row->parts_at == SIZE_MAX ? json_null()
                                                      : json_integer((json_int_t)row->parts_at));
    return json;
}

static json_t *z_json(const comparison *c) {
    json_t *layers = json_array();
    for (size_t l = 0; l < c->model->n_layers; l++) {
        json_t *heads = json_array();
        for (size_t h = 0; h < c->model->n_heads; h++)
            json_array_append_new(heads, json_real(c->z[l * c->model->n_heads + h]));
        json_array_append_new(layers, heads);
    }
    return layers;
}

json_t *compare_json(const comparison *c, const compare_names *names) {
    json_t *settings = json_array();
    for (size_t i = 1; i < c->n; i++) json_array_append_new(settings, row_json(c, &c->rows[i]));
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "model",
                     json_text(names->model, strlen(names->model)), "text",
                     json_text(names->text, strlen(names->text)), "tokens",
                     (json_int_t)names->n_tokens, "predicted", (json_int_t)c->rows[0].predicted,
                     "prompt_tokens", (json_int_t)(c->n_write ? c->n_prompt : 0), "z", z_json(c),
                     "reference", row_json(c, &c->rows[0]), "settings", settings);
}

/* ---- comma-separated values */

void compare_print_csv(const comparison *c, output *out) {
    output_printf(out, "name,attention,loss,perplexity,kl_mean,kl_p50,kl_p90,kl_p99,kl_max,"
                       "top1_agreement,top5_agreement,state_bytes,prefill_ms_per_token,"
                       "decode_ms_per_token,bad_denominators,parts_at\n");
    for (size_t i = 0; i < c->n; i++) {
        const compared *row = &c->rows[i];
        output_printf(out,
                      "\"%s\",%s,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.4f,%.4f,%zu,%.4f,%.4f,%llu,",
                      row->name, pf_attention_name(row->options.attention.kind), row_loss(row),
                      exp(row_loss(row)), row_kl(row), kl_share(row, 0.5), kl_share(row, 0.9),
                      kl_share(row, 0.99), kl_share(row, 1), row_top1(row), row_top5(row),
                      row->state_bytes, row_prefill_ms(row), row_decode_ms(row),
                      (unsigned long long)row->stats.bad_denominators);
        if (c->n_write && i > 0 && row->parts_at != SIZE_MAX)
            output_printf(out, "%zu", row->parts_at);
        output_printf(out, "\n");
    }
}

/* ---- the table */

text_style choose_style(void) {
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool dumb = terminal && strcmp(terminal, "dumb") == 0;
    if (!output_is_terminal() || (no_colour && *no_colour) || dumb)
        return (text_style){"", "", "", false};
    return (text_style){"\x1b[1m", "\x1b[2m", "\x1b[0m", true};
}

static int name_width(const comparison *c) {
    int width = (int)strlen("smallest head"); /* so that the tables by layer agree */
    for (size_t i = 0; i < c->n; i++) {
        int length = (int)strlen(c->rows[i].name);
        if (length > width) width = length;
    }
    return width < MAX_NAME ? width : MAX_NAME;
}

/* A name that is too long gets a line of its own. */
static void print_name(output *out, const char *name, int width) {
    if ((int)strlen(name) > width)
        output_printf(out, "%s\n%*s", name, width, "");
    else
        output_printf(out, "%-*s", width, name);
}

static void print_row(const comparison *c, const compared *row, int width, output *out) {
    char bytes[16], parts[24] = "";
    bool reference = row == c->rows;
    if (c->n_write && !reference) {
        if (row->parts_at == SIZE_MAX)
            snprintf(parts, sizeof parts, "never");
        else
            snprintf(parts, sizeof parts, "%zu", row->parts_at);
    }
    print_name(out, row->name, width);
    output_printf(out, " %10.3f", exp(row_loss(row)));
    if (reference)
        output_printf(out, " %7s %6s %6s", "", "", "");
    else
        output_printf(out, " %7.4f %5.1f%% %5.1f%%", row_kl(row), 100 * row_top1(row),
                      100 * row_top5(row));
    output_printf(out, " %9s %7.3f %7.3f %6s\n", human_bytes(row->state_bytes, bytes),
                  row_prefill_ms(row), row_decode_ms(row), parts);
}

static void print_rows(const comparison *c, text_style s, output *out) {
    int width = name_width(c);
    output_printf(out, "%s%-*s %10s %7s %6s %6s %9s %7s %7s %6s%s\n", s.bold, width, "attention",
                  "perplexity", "KL", "top-1", "top-5", "state", "read", "write",
                  c->n_write ? "parts" : "", s.plain);
    for (size_t i = 0; i < c->n; i++) print_row(c, &c->rows[i], width, out);
    output_printf(
        out,
        "\n%sKL: mean divergence from softmax's predictions, nats per token. top-1, top-5: how "
        "many of\nits 1 and 5 most probable tokens agree. state: bytes kept per text. read, write: "
        "ms per token.%s%s\n",
        s.dim, c->n_write ? "\nparts: the first token of a greedy continuation that differs." : "",
        s.plain);
    if (c->model->n_layers > MOST_LAYERS)
        output_printf(out, "%sThe tables by layer show %d of %u layers; --json gives all.%s\n",
                      s.dim, MOST_LAYERS, c->model->n_layers, s.plain);
    for (size_t i = 0; i < c->n; i++)
        if (c->rows[i].stats.bad_denominators)
            output_printf(out, "%s: in %llu attention rows the denominator was not positive\n",
                          c->rows[i].name, (unsigned long long)c->rows[i].stats.bad_denominators);
}

/* Up to MOST_LAYERS layers, evenly spaced, including the first and the last. */
static size_t choose_layers(size_t n_layers, size_t *layers) {
    size_t n = n_layers < MOST_LAYERS ? n_layers : MOST_LAYERS;
    for (size_t i = 0; i < n; i++) layers[i] = n > 1 ? i * (n_layers - 1) / (n - 1) : 0;
    return n;
}

static void print_layers(const comparison *c, text_style s, bool attention, output *out) {
    size_t layers[MOST_LAYERS], n = choose_layers(c->model->n_layers, layers);
    int width = name_width(c);
    output_printf(out, "\n%s%s%s", s.bold,
                  attention ? "relative error of the attention output, by layer"
                            : "relative error of the residual stream, by layer",
                  s.plain);
    output_printf(out, "\n%-*s", width, "");
    for (size_t i = 0; i < n; i++) output_printf(out, " %6zu", layers[i]);
    output_printf(out, "\n");
    for (size_t r = 1; r < c->n; r++) {
        print_name(out, c->rows[r].name, width);
        for (size_t i = 0; i < n; i++) {
            const layer_error *e = &c->rows[r].layers[layers[i]];
            output_printf(out, " %6.3f",
                          attention
                              ? relative_error(e->attention_difference, e->attention_reference)
                              : relative_error(e->residual_difference, e->residual_reference));
        }
        output_printf(out, "\n");
    }
}

static void print_z(const comparison *c, text_style s, output *out) {
    size_t layers[MOST_LAYERS], n = choose_layers(c->model->n_layers, layers),
                                H = c->model->n_heads;
    int width = name_width(c);
    static const char *const names[] = {"smallest head", "mean", "largest head"};
    output_printf(out,
                  "\n%sZ, by layer: mean |x + y|^2 of queries and keys; the variance of FAVOR+ "
                  "grows with exp(Z)%s\n",
                  s.bold, s.plain);
    for (int which = 0; which < 3; which++) {
        output_printf(out, "%-*s", width, names[which]);
        for (size_t i = 0; i < n; i++) {
            const double *z = c->z + layers[i] * H;
            double low = z[0], high = z[0], sum = 0;
            for (size_t h = 0; h < H; h++) {
                if (z[h] < low) low = z[h];
                if (z[h] > high) high = z[h];
                sum += z[h];
            }
            double shown = which == 0 ? low : which == 1 ? sum / (double)H : high;
            output_printf(out, " %6.1f", shown);
        }
        output_printf(out, "\n");
    }
}

/* Adds dots to a text that ends only because enough tokens are written, often in mid-word. */
static bool mark_cut(const comparison *c, const compared *row, char **text) {
    static const char dots[] = "...";
    const pf_tokens *written = &row->written;
    if (written->count < c->n_write) return true;
    if (c->tokenizer && pf_tokenizer_is_end(c->tokenizer, written->ids[written->count - 1]))
        return true;
    size_t n = strlen(*text);
    char *longer = pf_realloc(*text, n + sizeof dots, 1, "a text", NULL);
    if (!longer) return false;
    memcpy(longer + n, dots, sizeof dots);
    *text = longer;
    return true;
}

static void print_pair(const comparison *c, const compared *row, text_style s, output *out) {
    const compared *reference = &c->rows[0];
    char *left = NULL, *right = NULL, title[160];
    size_t split = 0, ignored, before = row->parts_at;
    if (text_of(c->tokenizer, reference->written.ids, reference->written.count, before, &left,
                &split, NULL) &&
        text_of(c->tokenizer, row->written.ids, row->written.count, before, &right, &ignored,
                NULL) &&
        mark_cut(c, reference, &left) && mark_cut(c, row, &right)) {
        snprintf(title, sizeof title, "%s", row->name);
        output_printf(out, "\n");
        print_side_by_side(out, "softmax", left, title, right, split, WIDTH, s.colour);
    }
    pf_free(left);
    pf_free(right);
}

/* The last words of the prompt. */
static void print_prompt_end(const comparison *c, text_style s, output *out) {
    char *text = NULL;
    size_t ignored, n, first;
    if (!text_of(c->tokenizer, c->prompt, c->n_prompt, 0, &text, &ignored, NULL)) return;
    n = strlen(text);
    first = n > 72 ? n - 72 : 0;
    while (first > 0 && text[first] && text[first - 1] != ' ') first++;
    for (char *at = text + first; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F) *at = ' ';
    output_printf(out, "%s%s%s%s\n", s.dim, first > 0 ? "... " : "", text + first, s.plain);
    pf_free(text);
}

static int by_kl(const void *a, const void *b) {
    double x = row_kl(*(const compared *const *)a), y = row_kl(*(const compared *const *)b);
    return (x > y) - (x < y);
}

static void print_texts(const comparison *c, const compare_names *names, text_style s,
                        output *out) {
    if (!c->n_write) return;
    const compared **order = pf_calloc(c->n, sizeof *order, "the texts", NULL);
    if (!order) return;
    size_t n = 0, parting = 0;
    for (size_t r = 1; r < c->n; r++) order[n++] = &c->rows[r];
    if (!names->all_texts) qsort(order, n, sizeof *order, by_kl);
    output_printf(out, "\n%sgreedy continuations of the first %zu tokens%s%s\n", s.bold,
                  c->n_prompt, names->all_texts ? "" : ", under the closest settings that differ",
                  s.plain);
    print_prompt_end(c, s, out);
    for (size_t i = 0; i < n; i++) {
        if (order[i]->parts_at == SIZE_MAX) {
            if (names->all_texts)
                output_printf(out, "\n%s writes the same text as softmax\n", order[i]->name);
            continue;
        }
        if (names->all_texts || parting < MOST_TEXTS) print_pair(c, order[i], s, out);
        parting++;
    }
    pf_free(order);
}

void compare_print_table(const comparison *c, const compare_names *names, output *out) {
    text_style s = choose_style();
    output_printf(out, "%s%s%s on %s: %zu tokens, %zu predicted\n\n", s.bold, names->model, s.plain,
                  names->text, names->n_tokens, c->rows[0].predicted);
    print_rows(c, s, out);
    print_layers(c, s, true, out);
    print_layers(c, s, false, out);
    print_z(c, s, out);
    print_texts(c, names, s, out);
}
