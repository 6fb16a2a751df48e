/* floor 5.7 - explain steps: exact attention and Performer attention, side by side. */
#include "explain_steps.h"

#include <math.h>
#include <string.h>

enum { ROWS = 10, BAR = 20 };

const char *map_formula(pf_map_kind map) {
    static const char *const formulas[PF_MAP_COUNT] = {
        [PF_MAP_POSITIVE] = "phi(x)_m = exp(w_m.x - |x|^2/2) / sqrt(M)",
        [PF_MAP_HYPERBOLIC] = "phi(x)_m = exp(+-w_m.x - |x|^2/2) / sqrt(M)",
        [PF_MAP_TRIG] = "phi(x)_m = exp(|x|^2/2) (cos w_m.x, sin w_m.x) / sqrt(M/2)",
        [PF_MAP_TRIG_OFFSET] = "phi(x)_m = exp(|x|^2/2) cos(w_m.x + b_m) sqrt(2/M)",
        [PF_MAP_FAVOR_PP] = "phi(x)_m = exp(B w_m.x - |x|^2/2 + A |w_m|^2 + log D) / sqrt(M)",
        [PF_MAP_RELU] = "phi(x)_m = (relu(w_m.x) + eps) / sqrt(M)",
        [PF_MAP_ELU] = "phi(x)_d = elu(x_d) + 1",
        [PF_MAP_NORMALIZED] = "phi(x)_m = softmax_m(w_m.x + b_m) exp(u.x + c)",
    };
    return formulas[map];
}

static void bar(double share, char *text) {
    int n = (int)lround(fmin(fmax(share, 0), 1) * BAR);
    memset(text, '#', (size_t)n);
    text[n] = 0;
}

static void exact(const explain_run *run, text_page *p) {
    const head_trace *trace = &run->softmax.trace;
    const pf_model *m = run->model;
    char token[TOKEN_SIZE], a[CELL_SIZE], b[CELL_SIZE], hashes[BAR + 1];
    size_t shown[EXPLAIN_MAX_TOKENS], n = explain_run_choose(run, ROWS, shown);
    text_page_heading(p, "Exact attention: scores and softmax");
    text_page_paragraph(
        p,
        "The query is compared with the key of every token so far. e^score divided by the sum of "
        "all e^score is the weight w of that token; the output is the weighted sum of the values.");
    text_page_line(p, "score_j = q.k_j * %.4f    w_j = e^score_j / sum    out = sum_j w_j v_j",
                   (double)m->attention_scale);
    text_page_line(p, "%4s %-14s %10s %10s %8s", "j", "token", "score", "e^score", "w");
    for (size_t i = 0; i < n; i++) {
        size_t j = shown[i];
        double score = (double)trace->scores[run->last * run->T + j];
        bar((double)run->softmax.weights[j], hashes);
        text_page_line(p, "%4zu %s %s %s %8.4f %s", j,
                       token_cell(run->loaded->tokenizer, run->ids[j], 14, token),
                       cell(score, 10, a), cell_of_log(1, score, 10, b),
                       (double)run->softmax.weights[j], hashes);
    }
    if (n < run->T) text_page_line(p, "%4s %zu more with smaller weights", "..", run->T - n);
    double log_sum =
        (double)trace->exact_scale[run->last] + log((double)trace->exact_den[run->last]);
    text_page_line(p, "%-30s %10s", "sum of all", cell_of_log(1, log_sum, 10, a));
    text_page_numbers(p, "out", run->softmax.out, m->head_dim);
    text_page_paragraph(
        p,
        "The next token needs the keys and values of all tokens again, so they must be kept: 2 D = "
        "%u floats per token for this head, %zu so far. Every new token reads them all.",
        2 * m->head_dim, 2 * m->head_dim * run->T);
    text_page_code(p, "engine/attention/attention_exact.c", "pf_exact_token");
}

static bool is_calibrated(const explain_run *run) {
    const pf_favor_weights *favor = &run->model->layers[run->settings.layer].favor;
    return favor->q_center && !run->settings.favor.attention.uncalibrated;
}

/* How phi(q).phi(k) of this map relates to e^(q.k). */
static void name_map(const explain_run *run, text_page *p) {
    const head_trace *trace = &run->favor.trace;
    if (trace->map == PF_MAP_NORMALIZED)
        text_page_paragraph(
            p, "The w, b, u and c of this map were fitted to the model by `performer calibrate`; "
               "nothing is random. phi(q).phi(k) stands for e^score up to a factor that depends on "
               "the query alone, and dividing by the sum cancels that factor.");
    else if (trace->map == PF_MAP_ELU)
        text_page_paragraph(p, "This map does not estimate e^score. It defines a different kernel, "
                               "simple and without randomness.");
    else if (trace->map == PF_MAP_RELU)
        text_page_paragraph(p, "This map does not estimate e^score but a different kernel, one of "
                               "the angle between q and k.");
    else
        text_page_paragraph(
            p,
            "The w_m are random: drawn from N(0, I), %s%s. Averaged over all draws, phi(x).phi(y) "
            "is exactly e^(x.y); with x = q sqrt(scale) and y = k sqrt(scale) that is e^score.",
            run->settings.favor.attention.projection == PF_PROJECTION_IID
                ? "independent of each other"
                : "orthogonal in blocks of D",
            is_calibrated(run)
                ? ". Before that, the calibration stored in the file centres and balances q and k"
                : "");
}

/* What Z means for random features; it does not matter for fitted ones, elu + 1 and relu. */
static void print_hardness(const explain_run *run, text_page *p) {
    const head_trace *trace = &run->favor.trace;
    double mean = 0;
    if (trace->map == PF_MAP_NORMALIZED || trace->map == PF_MAP_ELU || trace->map == PF_MAP_RELU)
        return;
    for (size_t j = 0; j < run->T; j++)
        mean += head_trace_z(trace, run->model->attention_scale, run->last, j) / (double)run->T;
    text_page_paragraph(p,
                        "Z = |x + y|^2%s tells how hard a pair is to estimate: the relative "
                        "variance of one positive feature is e^Z - 1. Here Z is %.2f on average.%s",
                        is_calibrated(run) ? " (before the calibration, which lowers it)" : "",
                        mean,
                        mean > 6 ? " That is large: few draws come near e^score. What helps is "
                                   "calibration or an exact window."
                                 : "");
}

static void features(const explain_run *run, text_page *p) {
    const head_trace *trace = &run->favor.trace;
    char token[TOKEN_SIZE], a[CELL_SIZE], b[CELL_SIZE], c[CELL_SIZE], d[CELL_SIZE];
    size_t shown[EXPLAIN_MAX_TOKENS], n = explain_run_choose(run, ROWS, shown), M = trace->M,
                                      t = run->last;
    text_page_heading(p, "Performer attention: random features instead of scores");
    text_page_paragraph(
        p,
        "FAVOR+ replaces e^(x.y), which needs every pair, by the dot product of two vectors of M = "
        "%zu numbers: one made from the query alone, one from the key alone.",
        M);
    text_page_line(p, "%s", map_formula(trace->map));
    name_map(run, p);
    if (!trace->tail_rope && pf_position_rotates(run->model->position))
        text_page_paragraph(
            p,
            "The features are computed from q and k before RoPE (performer.tail_rope is false).");
    text_page_line(p,
                   "phi = numbers below * exp(log-scale), kept apart so that nothing overflows:");
    text_page_numbers(p, "phi(q)", trace->phi_q + t * M, M);
    text_page_numbers(p, "phi(k)", trace->phi_k + t * M, M);
    text_page_line(p, "log-scales: q %s, k %s", cell((double)trace->q_scale[t], 0, a),
                   cell((double)trace->k_scale[t], 0, b));
    text_page_line(p, "%4s %-14s %10s %10s %12s %10s", "j", "token", "score", "e^score", "phi.phi",
                   "Z");
    for (size_t i = 0; i < n; i++) {
        size_t j = shown[i];
        int sign;
        double log_estimate = head_trace_estimate(trace, t, j, &sign);
        double score = (double)trace->scores[t * run->T + j];
        const char *estimate = sign ? cell_of_log(sign, log_estimate, 12, c) : "0";
        text_page_line(p, "%4zu %s %s %s %12s %s", j,
                       token_cell(run->loaded->tokenizer, run->ids[j], 14, token),
                       cell(score, 10, a), cell_of_log(1, score, 10, b), estimate,
                       cell(head_trace_z(trace, run->model->attention_scale, t, j), 10, d));
    }
    print_hardness(run, p);
    text_page_code(p, "engine/attention/random_features.c", "pf_features_apply");
}

/* How many tokens S and z hold: those that are neither sinks nor in the window. */
static size_t folded(const explain_run *run) {
    size_t kept = run->favor.trace.window + run->favor.trace.sinks;
    return run->T > kept ? run->T - kept : 0;
}

static void sums(const explain_run *run, text_page *p) {
    const head_trace *trace = &run->favor.trace;
    size_t M = trace->M, D = trace->D;
    text_page_heading(p, "The state: S and z");
    text_page_paragraph(
        p, "Now that q and k are separate, the sum over all tokens no longer needs the query. The "
           "past becomes two running sums, whose size does not depend on the text.");
    text_page_line(p, "S += phi(k) v^T  [M = %zu, D = %zu]     z += phi(k)  [M = %zu]", M, D, M);
    text_page_line(p, "out = phi(q) S / phi(q).z");
    if (run->settings.favor.attention.forget > 0)
        text_page_line(p, "(each token first multiplies both by 1 - 1/%u: --forget)",
                       run->settings.favor.attention.forget);
    if (trace->window + trace->sinks > 0)
        text_page_paragraph(p,
                            "The first tokens (sinks: %zu) and the last ones (window: %zu) stay "
                            "exact; S and z hold the rest, %zu so far.",
                            trace->sinks, trace->window, folded(run));
    if (folded(run) == 0) {
        text_page_paragraph(p, "This text is no longer than that, so S and z are still empty: give "
                               "a longer one, or --window 0 --sinks 0.");
        return;
    }
    for (size_t m = 0; m < M && m < 3; m++) {
        char label[16];
        snprintf(label, sizeof label, "S[%zu]", m);
        text_page_numbers(p, label, trace->S + m * D, D);
    }
    text_page_numbers(p, "z", trace->z, M);
    text_page_numbers(p, "S, z: out", trace->tail_out, D);
    text_page_paragraph(p,
                        "S and z are stored divided by e^c, where c = %.4f is the running maximum "
                        "of the keys' log-scales (more on that below).",
                        (double)trace->top[run->last]);
    text_page_code(p, "engine/attention/favor_state.c", "pf_favor_state_step");
    text_page_code(p, "engine/kernels/kernels_plain.c", "plain_favor_step");
}

static const char *part_of(const explain_run *run, size_t j) {
    const head_trace *trace = &run->favor.trace;
    if (j < trace->sinks) return "sink";
    return run->last - j < trace->window ? "window" : "tail";
}

static void both(const explain_run *run, text_page *p) {
    char token[TOKEN_SIZE], hashes[BAR + 1];
    size_t shown[EXPLAIN_MAX_TOKENS], n = explain_run_choose(run, ROWS, shown),
                                      D = run->model->head_dim;
    bool parts = run->favor.trace.window + run->favor.trace.sinks > 0;
    double difference = 0, reference = 0, distance = 0;
    text_page_heading(p, "Both, side by side");
    text_page_paragraph(p, "The same queries, keys and values under both kinds of attention: the "
                           "weight that the last token gives to each token.");
    text_page_line(p, "%4s %-14s %8s %8s %s", "j", "token", "softmax", "favor",
                   parts ? "part" : "");
    for (size_t i = 0; i < n; i++) {
        size_t j = shown[i];
        bar((double)run->favor.weights[j], hashes);
        text_page_line(p, "%4zu %s %8.4f %8.4f %-7s%s", j,
                       token_cell(run->loaded->tokenizer, run->ids[j], 14, token),
                       (double)run->softmax.weights[j], (double)run->favor.weights[j],
                       parts ? part_of(run, j) : "", hashes);
    }
    text_page_numbers(p, "out softmax", run->softmax.out, D);
    text_page_numbers(p, "out favor", run->favor.out, D);
    for (size_t d = 0; d < D; d++) {
        double e = (double)run->favor.out[d] - (double)run->softmax.out[d];
        difference += e * e;
        reference += (double)run->softmax.out[d] * (double)run->softmax.out[d];
    }
    for (size_t j = 0; j < run->T; j++)
        distance += fabs((double)run->favor.weights[j] - (double)run->softmax.weights[j]) / 2;
    text_page_line(p, "relative error of out: %.4f     weight moved to other tokens: %.4f",
                   reference > 0 ? sqrt(difference / reference) : 0, distance);
    text_page_code(p, "engine/attention/attention_head.c", "pf_head_finish_row");
}

void explain_steps_print_attention(const explain_run *run, text_page *p) {
    exact(run, p);
    if (run->favor.trace.M > 0) {
        features(run, p);
        sums(run, p);
    }
    both(run, p);
}
