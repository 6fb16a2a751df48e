/* floor 5.7 - estimate: is phi(q).phi(k) really e^score on average? */
#include "estimate.h"

#include "memory.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

static const uint32_t sizes[ESTIMATE_SIZES] = {16, 64, 256, 1024};

/* Welford's running mean and variance, numerically stable for any number of draws. */
static void ratio_add(ratio *r, double x) {
    r->n++;
    double difference = x - r->mean;
    r->mean += difference / (double)r->n;
    r->squares += difference * (x - r->mean);
}

double ratio_standard_error(const ratio *r) {
    return r->n > 1 ? sqrt(r->squares / (double)(r->n - 1) / (double)r->n) : 0;
}

static bool estimates(pf_map_kind map) {
    return map != PF_MAP_ELU && map != PF_MAP_RELU && map != PF_MAP_NORMALIZED;
}

static bool choose_map(estimate *e, const explain_run *run, pf_error *error) {
    const pf_favor_weights *favor = &run->model->layers[run->settings.layer].favor;
    e->attention = row_error_pure(run);
    e->attention.redraw = PF_REDRAW_SEQUENCE; /* a stored projection is a single draw */
    e->attention.epsilon = 0;
    if (e->attention.map == PF_MAP_NORMALIZED && favor->q_center && !e->attention.uncalibrated)
        e->attention.map = PF_MAP_FAVOR_PP; /* the random features that the file stores as well */
    return estimates(e->attention.map) ||
           pf_fail(error,
                   "map %s does not estimate e^(q.k): choose --map positive, hyperbolic, trig, "
                   "trig-offset or favor++",
                   pf_map_name(e->attention.map));
}

/* Sorts the keys by Z with the last query and picks evenly from the smallest to the largest. */
static bool choose_pairs(estimate *e, const explain_run *run, pf_error *error) {
    size_t T = run->T, t = run->last;
    size_t *order = pf_calloc(T, sizeof *order, "the estimate", error);
    if (!order) return false;
    float scale = run->model->attention_scale;
    const head_trace *trace = &run->softmax.trace;
    for (size_t j = 0; j < T; j++) {
        size_t at = j;
        double z = head_trace_z(trace, scale, t, j);
        for (; at > 0 && head_trace_z(trace, scale, t, order[at - 1]) > z; at--)
            order[at] = order[at - 1];
        order[at] = j;
    }
    e->n_pairs = T < ESTIMATE_PAIRS ? T : ESTIMATE_PAIRS;
    for (size_t i = 0; i < e->n_pairs; i++) {
        size_t j = order[i == 0 ? 0 : i * (T - 1) / (e->n_pairs - 1)];
        e->pairs[i].j = j;
        e->pairs[i].score = (double)trace->scores[t * T + j];
        e->pairs[i].z = head_trace_z(trace, scale, t, j);
    }
    pf_free(order);
    return true;
}

/* Working memory for one kind of projection. */
typedef struct drawer {
    pf_head_features features;
    pf_attention_config config;
    uint32_t layer, kv_head;
    float *phi_q, *phi_k, *scratch; /* [M] each; of pf_features_apply */
    double *draw_scratch;           /* [D, D] */
} drawer;

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static void measure_draw(estimate *e, const explain_run *run, drawer *d, uint32_t draw) {
    assert(d->features.k);
    const head_trace *trace = &run->softmax.trace;
    size_t D = trace->D, M = d->features.k[0].M;
    uint32_t g = run->settings.head % (uint32_t)d->features.G;
    float q_scale, k_scale;
    pf_head_features_draw(&d->features, &d->config, d->layer, d->kv_head, draw, d->draw_scratch);
    pf_features_apply(&d->features.q[g], trace->q + run->last * D, D, 1, d->phi_q, &q_scale,
                      d->scratch);
    for (size_t i = 0; i < e->n_pairs; i++) {
        pf_features_apply(&d->features.k[0], trace->k + e->pairs[i].j * D, D, 1, d->phi_k, &k_scale,
                          d->scratch);
        double log_scale = (double)q_scale + (double)k_scale - e->pairs[i].score;
        ratio_add(&e->pairs[i].by_projection[d->config.options.projection],
                  exp(log_scale) * dot(d->phi_q, d->phi_k, M));
    }
}

static bool measure_projection(estimate *e, const explain_run *run, pf_projection_kind kind,
                               pf_error *error) {
    const pf_model *m = run->model;
    pf_attention_options settings = e->attention;
    settings.projection = kind;
    size_t D = m->head_dim, M = settings.features, mark = 0;
    drawer d = {.config = {.model = m, .options = settings},
                .layer = run->settings.layer,
                .kv_head = run->settings.head / (m->n_heads / m->n_kv_heads)};
    d.phi_q = pf_calloc(2 * M + pf_features_scratch(D, M, 1), sizeof(float), "the estimate", error);
    d.draw_scratch = pf_calloc(D, D * sizeof(double), "the estimate", error);
    bool good =
        d.phi_q && d.draw_scratch &&
        pf_head_features_new(&d.features, &d.config, d.layer, d.kv_head, settings.features, error);
    d.phi_k = d.phi_q + M;
    d.scratch = d.phi_k + M;
    for (size_t draw = 0; good && draw < e->draws && !terminal_interrupted(); draw++) {
        measure_draw(e, run, &d, (uint32_t)draw);
        if (mark < e->n_marks && draw + 1 == e->marks[mark])
            e->running[mark++][kind] = e->pairs[0].by_projection[kind];
    }
    pf_head_features_free(&d.features);
    pf_free(d.phi_q);
    pf_free(d.draw_scratch);
    return good && (!terminal_interrupted() || pf_fail(error, "interrupted"));
}

/* 1, 10, 100, ..., and the last draw. */
static void set_marks(estimate *e) {
    for (size_t n = 1; n < e->draws && e->n_marks + 1 < ESTIMATE_MARKS; n *= 10)
        e->marks[e->n_marks++] = n;
    e->marks[e->n_marks++] = e->draws;
}

static bool measure_rows(estimate *e, const explain_run *run, pf_error *error) {
    pf_attention_options attention = e->attention;
    attention.redraw = PF_REDRAW_NEVER;
    e->favor_row = pf_calloc(2 * run->T, sizeof(float), "the estimate", error);
    if (!e->favor_row) return false;
    e->elu_row = e->favor_row + run->T;
    row_error ignored;
    if (!row_error_measure(run, &attention, 1, &ignored, e->favor_row, error)) return false;
    for (int i = 0; i < ESTIMATE_SIZES; i++) {
        attention.features = sizes[i];
        if (!row_error_measure(run, &attention, ESTIMATE_ROW_DRAWS, &e->sizes[i], NULL, error))
            return false;
    }
    attention.map = PF_MAP_ELU;
    attention.uncalibrated = true; /* elu + 1 as published */
    return row_error_measure(run, &attention, 1, &e->elu, e->elu_row, error);
}

bool estimate_measure(estimate *e, const explain_run *run, size_t draws, pf_error *error) {
    char message[160];
    *e = (estimate){.draws = draws};
    if (!choose_map(e, run, error) || !choose_pairs(e, run, error)) return false;
    if (!pf_map_check_features(e->attention.map, run->model->head_dim, &e->attention.features,
                               message, sizeof message))
        return pf_fail(error, "%s", message);
    set_marks(e);
    return measure_projection(e, run, PF_PROJECTION_ORTHOGONAL, error) &&
           measure_projection(e, run, PF_PROJECTION_IID, error) && measure_rows(e, run, error);
}

void estimate_free(estimate *e) { pf_free(e->favor_row); }

/* "mean +- standard error" of e^score times the ratio. */
static const char *mean_cell(const struct estimate_pair *pair, const ratio *r, char *text,
                             size_t size) {
    char a[CELL_SIZE], b[CELL_SIZE];
    double error = ratio_standard_error(r);
    int sign = r->mean < 0 ? -1 : 1;
    snprintf(text, size, "%s +- %s", cell_of_log(sign, log(fabs(r->mean)) + pair->score, 10, a),
             error > 0 ? cell_of_log(1, log(error) + pair->score, 9, b) : "        -");
    return text;
}

static void print_running(const estimate *e, const explain_run *run, text_page *p) {
    char a[CELL_SIZE], left[2 * CELL_SIZE], right[2 * CELL_SIZE], token[TOKEN_SIZE];
    const struct estimate_pair *pair = &e->pairs[0];
    text_page_heading(p, "One pair, many draws: the mean of phi(q).phi(k)");
    text_page_paragraph(
        p,
        "The query is the last token's. The key is that of position %zu, %s: the pair with the "
        "smallest Z = %.3f. Each draw makes new projections w_m (map %s, M = %u) and multiplies "
        "the features of both. The mean +- its standard error:",
        pair->j, token_cell(run->loaded->tokenizer, run->ids[pair->j], -32, token), pair->z,
        pf_map_name(e->attention.map), e->attention.features);
    text_page_line(p, "%8s   %23s   %23s", "draws", "orthogonal", "independent (iid)");
    for (size_t i = 0; i < e->n_marks; i++)
        text_page_line(p, "%8zu   %23s   %23s", e->marks[i],
                       mean_cell(pair, &e->running[i][PF_PROJECTION_ORTHOGONAL], left, sizeof left),
                       mean_cell(pair, &e->running[i][PF_PROJECTION_IID], right, sizeof right));
    text_page_line(p, "%8s   %10s", "e^score", cell_of_log(1, pair->score, 10, a));
    text_page_code(p, "engine/attention/head_features.c", "pf_head_features_draw");
}

/* How many standard errors the mean is from the exact value. */
static const char *surprise(const ratio *r, char *text) {
    double error = ratio_standard_error(r);
    if (!(error > 0)) return "-";
    return cell((r->mean - 1) / error, 7, text);
}

static void print_pairs(const estimate *e, const explain_run *run, text_page *p) {
    char token[TOKEN_SIZE], a[CELL_SIZE], b[CELL_SIZE], c[CELL_SIZE], d[CELL_SIZE], f[CELL_SIZE];
    bool known =
        e->attention.map == PF_MAP_POSITIVE &&
        (!run->model->layers[run->settings.layer].favor.q_center || e->attention.uncalibrated);
    text_page_heading(p, "Easy and hard pairs");
    text_page_paragraph(p,
                        "The estimate is unbiased, but how noisy is it? The columns orthog. and "
                        "iid are the standard deviation of one draw in units of e^score%s. Off by: "
                        "how many standard errors the mean of %zu draws is from e^score. It is "
                        "within 2 or 3 if the estimate is unbiased and the errors can be trusted.",
                        known ? "; in theory sqrt((e^Z - 1) / M) for independent w_m" : "",
                        e->draws);
    text_page_line(p, "%4s %-10s %8s | %9s %7s | %9s %7s |%s", "j", "token", "Z", "orthog.",
                   "off by", "iid", "off by", known ? "   theory" : "");
    for (size_t i = 0; i < e->n_pairs; i++) {
        const struct estimate_pair *pair = &e->pairs[i];
        const ratio *o = &pair->by_projection[PF_PROJECTION_ORTHOGONAL];
        const ratio *r = &pair->by_projection[PF_PROJECTION_IID];
        double n = sqrt((double)e->draws), M = (double)e->attention.features;
        char z[CELL_SIZE];
        text_page_line(p, "%4zu %s %s | %s %7s | %s %7s |%s", pair->j,
                       token_cell(run->loaded->tokenizer, run->ids[pair->j], 10, token),
                       cell(pair->z, 8, z), cell(n * ratio_standard_error(o), 9, a), surprise(o, b),
                       cell(n * ratio_standard_error(r), 9, c), surprise(r, d),
                       known ? cell(sqrt(expm1(pair->z) / M), 9, f) : "");
    }
    if (e->pairs[e->n_pairs - 1].z > 6)
        text_page_paragraph(
            p, "Where Z is large, almost every draw is far too small and a rare one is enormous. "
               "The estimate is still right on average, but no sample of this size shows it, and "
               "the measured deviations fall short of the theory.");
    text_page_code(p, "engine/attention/random_features.c", "pf_features_apply");
}

static void print_rows(const estimate *e, const explain_run *run, text_page *p) {
    enum { ROWS = 8 };
    char token[TOKEN_SIZE];
    size_t shown[EXPLAIN_MAX_TOKENS], n = explain_run_choose(run, ROWS, shown);
    text_page_heading(p, "The whole row, next to elu(x) + 1");
    text_page_paragraph(
        p, "Linear attention with phi(x) = elu(x) + 1 (Katharopoulos et al. 2020) has the same "
           "running sums, no randomness, and M = D. But it is a different kernel, which no number "
           "of features brings closer to softmax. The last token's weights:");
    text_page_line(p, "%4s %-14s %9s %9s %9s", "j", "token", "softmax", "favor", "elu+1");
    for (size_t i = 0; i < n; i++)
        text_page_line(p, "%4zu %s %9.4f %9.4f %9.4f", shown[i],
                       token_cell(run->loaded->tokenizer, run->ids[shown[i]], 14, token),
                       (double)run->softmax.weights[shown[i]], (double)e->favor_row[shown[i]],
                       (double)e->elu_row[shown[i]]);
    text_page_code(p, "engine/attention/random_features.c", "elu_row");

    text_page_heading(p, "How many features");
    text_page_paragraph(p,
                        "The weight that moves to other tokens than under softmax, as the mean "
                        "over %d draws. It falls roughly as 1 / sqrt(M), and depends on Z and D, "
                        "not on the length of the text: that is why M can be far smaller than n.",
                        ESTIMATE_ROW_DRAWS);
    for (int i = 0; i < ESTIMATE_SIZES; i++)
        text_page_line(p, "favor  M = %4u   %.4f +- %.4f", sizes[i], e->sizes[i].mean,
                       e->sizes[i].standard_error);
    text_page_line(p, "elu+1  M = %4u   %.4f", run->model->head_dim, e->elu.mean);
}

void estimate_print(const estimate *e, const explain_run *run, text_page *p) {
    print_running(e, run, p);
    print_pairs(e, run, p);
    print_rows(e, run, p);
}

static json_t *finite(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* As ratios to e^score, which never overflow. */
static json_t *ratio_json(const ratio *r) {
    return json_pack("{s:I, s:o, s:o}", "draws", (json_int_t)r->n, "mean", finite(r->mean),
                     "standard_error", finite(ratio_standard_error(r)));
}

json_t *estimate_json(const estimate *e, const explain_run *run) {
    json_t *pairs = json_array(), *running = json_array(), *rows = json_array();
    for (size_t i = 0; i < e->n_pairs; i++)
        json_array_append_new(
            pairs, json_pack("{s:I, s:f, s:f, s:o, s:o}", "key", (json_int_t)e->pairs[i].j, "score",
                             e->pairs[i].score, "z", e->pairs[i].z, "orthogonal",
                             ratio_json(&e->pairs[i].by_projection[PF_PROJECTION_ORTHOGONAL]),
                             "iid", ratio_json(&e->pairs[i].by_projection[PF_PROJECTION_IID])));
    for (size_t i = 0; i < e->n_marks; i++)
        json_array_append_new(running,
                              json_pack("{s:o, s:o}", "orthogonal",
                                        ratio_json(&e->running[i][PF_PROJECTION_ORTHOGONAL]), "iid",
                                        ratio_json(&e->running[i][PF_PROJECTION_IID])));
    for (int i = 0; i < ESTIMATE_SIZES; i++)
        json_array_append_new(rows, json_pack("{s:I, s:f, s:f}", "features", (json_int_t)sizes[i],
                                              "mean", e->sizes[i].mean, "standard_error",
                                              e->sizes[i].standard_error));
    return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:f, s:I}", "map",
                     pf_map_name(e->attention.map), "features", (json_int_t)e->attention.features,
                     "draws", (json_int_t)e->draws, "pairs", pairs, "running", running, "rows",
                     rows, "elu_row_error", e->elu.mean, "tokens", (json_int_t)run->T);
}
