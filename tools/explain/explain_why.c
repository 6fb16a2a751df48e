/* floor 5.7 - explain why: why Performer attention is built as it is, shown on real numbers. */
#include "explain_why.h"

#include "resources.h"
#include "flop_count.h"

#include <math.h>
#include <stdio.h>

static bool is_random(pf_map_kind map) { return map != PF_MAP_ELU && map != PF_MAP_NORMALIZED; }

static bool measure_projections(explain_why *l, const explain_run *run, pf_error *error) {
    pf_attention_options attention = row_error_pure(run);
    if (!is_random(attention.map)) attention.map = PF_MAP_POSITIVE;
    if (attention.map != run->settings.favor.attention.map) attention.features = 64;
    l->map = attention.map;
    attention.projection = PF_PROJECTION_ORTHOGONAL;
    if (!row_error_measure(run, &attention, EXPLAIN_WHY_DRAWS, &l->orthogonal, NULL, error))
        return false;
    attention.projection = PF_PROJECTION_IID;
    return row_error_measure(run, &attention, EXPLAIN_WHY_DRAWS, &l->iid, NULL, error);
}

/* Traces the same head under another map. */
static bool trace_map(const explain_run *run, pf_map_kind map, head_trace *trace, pf_error *error) {
    pf_session_options settings = run->settings.favor;
    settings.attention = row_error_pure(run);
    settings.attention.map = map;
    settings.attention.epsilon = 0;
    settings.attention.features += settings.attention.features % 2;
    pf_session *session = pf_session_new(run->model, &settings, error);
    bool good = session && head_trace_new(trace, session, run->settings.layer, run->settings.head,
                                          run->q, run->k, run->v, run->T, error);
    pf_session_free(session);
    return good;
}

static bool measure_signs(explain_why *l, const explain_run *run, pf_error *error) {
    pf_attention_options attention = row_error_pure(run);
    attention.map = PF_MAP_TRIG;
    attention.epsilon = 0;
    attention.features += attention.features % 2;
    if (!trace_map(run, PF_MAP_POSITIVE, &l->positive, error) ||
        !trace_map(run, PF_MAP_TRIG, &l->trig, error) ||
        !row_error_measure(run, &attention, 1, &l->trig_row, NULL, error))
        return false;
    for (size_t t = 0; t < run->T; t++) l->negative += !(l->trig.den[t] > 0);
    return true;
}

static void measure_lengths(explain_why *l, const explain_run *run) {
    pf_session_options softmax = run->settings.softmax, favor = run->settings.favor;
    softmax.context = 4096; /* so that rounding to cache lines does not show */
    size_t at_4096 = pf_state_bytes(run->model, &softmax);
    softmax.context = 8192;
    size_t per_token = (pf_state_bytes(run->model, &softmax) - at_4096) / 4096;
    size_t sliding = at_4096 - 4096 * per_token; /* the windows of sliding layers */
    l->softmax_bytes_per_token = per_token;
    l->favor_bytes = pf_state_bytes(run->model, &favor);
    if (per_token > 0) l->break_even = (double)(l->favor_bytes - sliding) / (double)per_token;
    for (size_t i = 0; i < EXPLAIN_WHY_LENGTHS; i++) {
        size_t n = (size_t)64 << (2 * i);
        l->lengths[i].n = n;
        l->lengths[i].softmax_bytes = sliding + n * per_token;
        l->lengths[i].favor_bytes = l->favor_bytes;
        l->lengths[i].softmax_flops = flop_count_attention(run->model, &softmax.attention, n);
        l->lengths[i].favor_flops = flop_count_attention(run->model, &favor.attention, n);
    }
}

bool explain_why_measure(explain_why *l, const explain_run *run, pf_error *error) {
    *l = (explain_why){0};
    measure_lengths(l, run);
    return measure_projections(l, run, error) && measure_signs(l, run, error);
}

void explain_why_free(explain_why *l) {
    head_trace_free(&l->positive);
    head_trace_free(&l->trig);
}

double explain_why_denominator(const explain_run *run, const head_trace *trace, size_t t,
                               int *sign) {
    double den = (double)trace->den[t];
    *sign = (den > 0) - (den < 0);
    double exact =
        log((double)run->softmax.trace.exact_den[t]) + (double)run->softmax.trace.exact_scale[t];
    return log(fabs(den)) + (double)trace->q_scale[t] + (double)trace->top[t] - exact;
}

static void running_maximum(const explain_why *l, const explain_run *run, text_page *p) {
    enum { MOST = 8 };
    const head_trace *trace = &l->positive;
    char token[TOKEN_SIZE], a[CELL_SIZE], b[CELL_SIZE], c[CELL_SIZE], d[CELL_SIZE];
    text_page_heading(p, "Why a running maximum");
    text_page_paragraph(
        p, "Features are exponentials and can leave the range of a float. The reference code "
           "divides them all by the largest of the whole text, but a model that is writing cannot "
           "know the keys still to come. The largest log-scale so far, c, does just as well: S and "
           "z are stored as S e^-c and z e^-c, and a key that raises c first scales them down. The "
           "output stays the same, since c cancels in the quotient.");
    text_page_line(p, "%4s %-14s %10s %10s %10s %12s", "t", "token", "log-scale", "c before", "c",
                   "S, z scaled");
    size_t shown = 0;
    for (size_t t = 0; t < run->T && shown < MOST; t++) {
        double before = t ? (double)trace->top[t - 1] : -INFINITY, now = (double)trace->top[t];
        bool rises = now > before;
        if (!rises && t + MOST - shown < run->T && t > 2) continue;
        shown++;
        text_page_line(p, "%4zu %s %s %10s %s %12s", t,
                       token_cell(run->loaded->tokenizer, run->ids[t], 14, token),
                       cell((double)trace->k_scale[t], 10, a),
                       before > -INFINITY ? cell(before, 10, b) : "-", cell(now, 10, c),
                       before > -INFINITY ? cell(exp(before - now), 12, d) : "-");
    }
    text_page_line(p, "(map positive, every key in the tail)");
    text_page_code(p, "engine/attention/favor_state.c", "pf_favor_state_step");
}

static void orthogonality(const explain_why *l, text_page *p) {
    text_page_heading(p, "Why orthogonal projections");
    text_page_paragraph(
        p,
        "Independent directions w_m crowd together in some places and leave others empty. "
        "Orthogonal ones (within each block of D) spread evenly, yet each of them alone still "
        "follows N(0, I): the mean stays exact and the scatter shrinks. How much weight this row "
        "moves to other tokens than softmax does, over %d draws of each kind:",
        EXPLAIN_WHY_DRAWS);
    text_page_line(p, "orthogonal   %.4f +- %.4f", l->orthogonal.mean,
                   l->orthogonal.standard_error);
    text_page_line(p, "independent  %.4f +- %.4f", l->iid.mean, l->iid.standard_error);
    double gap = l->iid.mean - l->orthogonal.mean;
    double noise = hypot(l->iid.standard_error, l->orthogonal.standard_error);
    text_page_paragraph(
        p, "%s",
        gap > 2 * noise ? "Orthogonal directions are better by more than twice the standard error."
        : gap < -2 * noise ? "On this row, independent directions happen to be better."
                           : "On this row, so few draws cannot tell the two apart; explain "
                             "--estimate looks more closely.");
    text_page_code(p, "engine/attention/projection.c", "pf_projection_draw");
}

static void positivity(const explain_why *l, const explain_run *run, text_page *p) {
    enum { MOST = 6 };
    char token[TOKEN_SIZE], a[CELL_SIZE], b[CELL_SIZE];
    text_page_heading(p, "Why positive features");
    text_page_paragraph(
        p, "Sines and cosines also give an unbiased estimate of e^score (the formula of many "
           "tutorials). But its terms can be negative: the denominator, which is really a sum of "
           "positive numbers, can come out near zero or below it. The estimated denominator "
           "divided by the exact one, for the tokens where trig does worst:");
    text_page_line(p, "%4s %-14s %12s %12s", "t", "token", "positive", "trig");
    for (size_t t = 0; t < run->T; t++) {
        int sign, other;
        double log_ratio = explain_why_denominator(run, &l->trig, t, &sign);
        double ratio = sign * exp(fmin(log_ratio, 700));
        size_t worse = 0;
        for (size_t i = 0; i < run->T; i++) {
            double compared =
                exp(fmin(explain_why_denominator(run, &l->trig, i, &other), 700)) * other;
            worse += compared < ratio || (compared == ratio && i < t);
        }
        if (worse >= MOST) continue;
        double positive = explain_why_denominator(run, &l->positive, t, &other);
        text_page_line(
            p, "%4zu %s %s %12s", t, token_cell(run->loaded->tokenizer, run->ids[t], 14, token),
            cell_of_log(other, positive, 12, a), sign ? cell_of_log(sign, log_ratio, 12, b) : "0");
    }
    text_page_paragraph(p,
                        "Under trig, the denominator is not positive in %zu of this head's %zu "
                        "rows, and the smallest weight in the last row is %.4f. The engine leaves "
                        "S and z out of such a row and counts it (bad_denominators).",
                        l->negative, run->T, l->trig_row.least);
    text_page_code(p, "engine/attention/attention_head.c", "pf_head_finish_row");
}

static void lengths(const explain_why *l, const explain_run *run, text_page *p) {
    const head_trace *trace = &run->favor.trace;
    size_t D = trace->D, M = trace->M, kept = trace->window + trace->sinks;
    char a[16], b[16];
    text_page_heading(p, "What it costs, and when it pays off");
    text_page_paragraph(p, "Softmax keeps k and v of every token. Performer attention keeps S, z "
                           "and c, and the k and v of its window and sinks. Floats per head:");
    text_page_line(p, "softmax  2 D n = %zu n", 2 * D);
    text_page_line(p, "favor    M (D + 1) + 1 + 2 D (window + sinks) = %zu",
                   (M ? M * (D + 1) + 1 : 0) + 2 * D * kept);
    text_page_paragraph(p,
                        "For the whole model that is %zu bytes per token against %s in total: "
                        "equal at n = %.0f tokens. The work in one layer (multiplications and "
                        "additions over the whole text) is O(n^2 D) against O(n M D).",
                        l->softmax_bytes_per_token, human_bytes(l->favor_bytes, b), l->break_even);
    text_page_line(p, "%8s  %12s %12s  %12s %12s", "n", "softmax", "favor", "softmax", "favor");
    text_page_line(p, "%8s  %12s %12s  %12s %12s", "tokens", "state", "state", "operations",
                   "operations");
    for (size_t i = 0; i < EXPLAIN_WHY_LENGTHS; i++)
        text_page_line(p, "%8zu  %12s %12s  %12.2e %12.2e", l->lengths[i].n,
                       human_bytes(l->lengths[i].softmax_bytes, a),
                       human_bytes(l->lengths[i].favor_bytes, b), l->lengths[i].softmax_flops,
                       l->lengths[i].favor_flops);
    text_page_code(p, "tools/measure/flop_count.c", "flop_count_attention");
}

void explain_why_print(const explain_why *l, const explain_run *run, text_page *p) {
    /* Windows per head stored in the file still apply: the tail may be empty even so. */
    bool has_tail = l->positive.M > 0 && (double)l->positive.top[run->last] > -INFINITY;
    if (has_tail) running_maximum(l, run, p);
    orthogonality(l, p);
    if (has_tail && l->trig.M > 0) positivity(l, run, p);
    lengths(l, run, p);
}

static json_t *row_json(const row_error *row) {
    return json_pack("{s:I, s:f, s:f, s:f}", "draws", (json_int_t)row->draws, "mean", row->mean,
                     "standard_error", row->standard_error, "least_weight", row->least);
}

json_t *explain_why_json(const explain_why *l, const explain_run *run) {
    json_t *rows = json_array(), *ratios = json_array();
    for (size_t i = 0; i < EXPLAIN_WHY_LENGTHS; i++)
        json_array_append_new(
            rows, json_pack("{s:I, s:I, s:I, s:f, s:f}", "tokens", (json_int_t)l->lengths[i].n,
                            "softmax_bytes", (json_int_t)l->lengths[i].softmax_bytes, "favor_bytes",
                            (json_int_t)l->lengths[i].favor_bytes, "softmax_flops",
                            l->lengths[i].softmax_flops, "favor_flops", l->lengths[i].favor_flops));
    for (size_t t = 0; t < run->T; t++) {
        int sign, other;
        double trig = explain_why_denominator(run, &l->trig, t, &sign);
        double positive = explain_why_denominator(run, &l->positive, t, &other);
        json_array_append_new(ratios,
                              json_pack("{s:f, s:f}", "positive", other * exp(fmin(positive, 700)),
                                        "trig", sign * exp(fmin(trig, 700))));
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:o, s:f, s:o}", "map", pf_map_name(l->map),
                     "orthogonal", row_json(&l->orthogonal), "iid", row_json(&l->iid), "trig",
                     row_json(&l->trig_row), "trig_not_positive", (json_int_t)l->negative,
                     "denominator_ratios", ratios, "break_even_tokens", l->break_even, "lengths",
                     rows);
}
