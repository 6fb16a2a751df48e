/* floor 5.8 - measure head: figures of one head of the shipped model, on the course's text. */
#include "figure.h"

#include "feature_draws.h"
#include "given_texts.h"
#include "memory.h"
#include "row_error.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* The text that `explain` uses if you give none; chapters 3 to 8 of the course show its numbers. */
static const char model_path[] = "models/weights/tales-favor.gguf";
static const char text[] = "Once upon a time, there was a little girl named Mia. She was very";

enum { ROW_DRAWS = 100, LAYER = 0, HEAD = 0 };

typedef struct head {
    pf_loaded loaded;
    input_texts texts;
    explain_run run;
} head;

static bool open_head(head *h, pf_error *error) {
    *h = (head){0};
    if (!pf_loaded_open(model_path, &h->loaded, error) ||
        !add_encoded_text(&h->loaded, model_path, text, sizeof text - 1, &h->texts, error))
        return false;
    explain_settings settings = {.layer = LAYER, .head = HEAD, .favor_leads = true};
    settings.softmax = pf_session_options_default(h->loaded.model);
    settings.softmax.n_threads = 1;
    settings.favor = settings.softmax;
    settings.softmax.attention.kind = PF_ATTENTION_SOFTMAX;
    settings.favor.attention.kind = PF_ATTENTION_FAVOR;
    const pf_tokens *tokens = &h->texts.texts[0];
    return explain_run_new(&h->run, &h->loaded, tokens->ids, tokens->count, &settings, error);
}

static void close_head(head *h) {
    explain_run_free(&h->run);
    input_texts_free(&h->texts);
    pf_loaded_close(&h->loaded);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Weights of the row under ROW_DRAWS draws: w [T, ROW_DRAWS], each token's sorted. */
static bool draw_rows(const explain_run *run, double *w, pf_error *error) {
    float *weights = pf_calloc(run->T, sizeof *weights, "a row", error);
    bool good = weights != NULL;
    for (size_t i = 0; good && i < ROW_DRAWS; i++) {
        pf_attention_options attention = row_error_pure(run);
        attention.uncalibrated = true; /* not the projection that the file stores */
        attention.seed = i + 1;
        row_error ignored;
        good = row_error_measure(run, &attention, 1, &ignored, weights, error);
        for (size_t t = 0; good && t < run->T; t++) w[t * ROW_DRAWS + i] = (double)weights[t];
    }
    for (size_t t = 0; good && t < run->T; t++)
        qsort(w + t * ROW_DRAWS, ROW_DRAWS, sizeof *w, ascending);
    pf_free(weights);
    return good;
}

static void print_quoted(output *out, const char *bytes, size_t n) {
    output_printf(out, "\"");
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '"') output_printf(out, "\"");
        output_printf(out, "%c", bytes[i]);
    }
    output_printf(out, "\"");
}

bool measure_row(output *out, pf_error *error) {
    head h;
    bool good = open_head(&h, error);
    const explain_run *run = &h.run;
    double *w = good ? pf_calloc(run->T * ROW_DRAWS, sizeof *w, "the rows", error) : NULL;
    good = good && w && draw_rows(run, w, error);
    if (good) {
        output_printf(out, "# weights of the last token, layer %d, head %d of %s\n", LAYER, HEAD,
                      model_path);
        output_printf(out, "# low and high: the 10th and 90th of 100 other draws, M = %u\n",
                      row_error_pure(run).features);
        output_printf(out, "token,softmax,favor,low,high\n");
    }
    for (size_t t = 0; good && t < run->T; t++) {
        size_t n;
        const char *bytes = pf_tokenizer_bytes(h.loaded.tokenizer, run->ids[t], true, &n);
        print_quoted(out, bytes, n);
        const double *of_token = w + t * ROW_DRAWS;
        output_printf(out, ",%.4f,%.4f,%.4f,%.4f\n", (double)run->softmax.weights[t],
                      (double)run->favor.weights[t], of_token[ROW_DRAWS / 10],
                      of_token[ROW_DRAWS - 1 - ROW_DRAWS / 10]);
    }
    pf_free(w);
    close_head(&h);
    return good;
}

enum { SIZES = 3, BINS = 64, DRAWS = 10000, KEY = 0 };
static const size_t sizes[SIZES] = {16, 64, 256};
static const double last_bin = 1.6; /* the histogram goes from 0 to here */

typedef struct histogram {
    double exact;
    double share[SIZES][BINS], mean[SIZES], deviation[SIZES];
} histogram;

static bool count_draws(histogram *h, size_t i, const explain_run *run, pf_error *error) {
    const head_trace *trace = &run->softmax.trace;
    size_t D = trace->D;
    const float *q = trace->q + run->last * D, *k = trace->k + KEY * D;
    feature_draws d;
    bool good = feature_draws_new(&d, PF_MAP_POSITIVE, PF_PROJECTION_ORTHOGONAL, D, sizes[i],
                                  sqrtf(run->model->attention_scale), error);
    double sum = 0, squares = 0;
    for (int draw = 0; good && draw < DRAWS; draw++) {
        feature_draws_next(&d);
        double estimate = feature_draws_estimate(&d, q, k);
        sum += estimate / DRAWS;
        squares += estimate * estimate / DRAWS;
        double bin = floor(estimate / last_bin * BINS);
        if (bin >= 0 && bin < BINS) h->share[i][(size_t)bin] += 100.0 / DRAWS;
    }
    feature_draws_free(&d);
    h->mean[i] = sum;
    h->deviation[i] = sqrt(squares - sum * sum);
    return good;
}

static void print_histogram(output *out, const histogram *h, double z) {
    output_printf(out,
                  "# phi(q).phi(k) over %d draws: the last token's query and the key of token %d, "
                  "layer %d, head %d of %s\n",
                  DRAWS, KEY, LAYER, HEAD, model_path);
    output_printf(out, "# share: percent of the draws in a bin of %.3f; Z = %.3f\n",
                  last_bin / BINS, z);
    output_printf(out, "estimate,M = 16,M = 64,M = 256,mean 16,mean 64,mean 256,exact\n");
    for (size_t i = 0; i < BINS; i++)
        output_printf(out, "%.4f,%.2f,%.2f,%.2f,,,,\n", ((double)i + 0.5) * last_bin / BINS,
                      h->share[0][i], h->share[1][i], h->share[2][i]);
    static const char *const cells[] = {"2,,,", ",4,,", ",,6,"};
    for (size_t i = 0; i < SIZES; i++) output_printf(out, "%.4f,,,,%s\n", h->mean[i], cells[i]);
    output_printf(out, "%.4f,,,,,,,0\n%.4f,,,,,,,15\n", h->exact, h->exact);
    for (size_t i = 0; i < SIZES; i++)
        output_printf(out, "# M = %zu: mean %.4f +- %.4f, standard deviation %.4f\n", sizes[i],
                      h->mean[i], h->deviation[i] / sqrt(DRAWS), h->deviation[i]);
    output_printf(out, "# e^score: %.4f\n", h->exact);
}

bool measure_histogram(output *out, pf_error *error) {
    head h;
    histogram counts = {0};
    bool good = open_head(&h, error);
    for (size_t i = 0; good && i < SIZES; i++) good = count_draws(&counts, i, &h.run, error);
    if (good) {
        const head_trace *trace = &h.run.softmax.trace;
        counts.exact = exp((double)trace->scores[h.run.last * trace->T + KEY]);
        print_histogram(out, &counts,
                        head_trace_z(trace, h.run.model->attention_scale, h.run.last, KEY));
    }
    close_head(&h);
    return good;
}
