/* floor 5.5 - bench print: the results of bench as a table, JSON or CSV. */
#include "bench_print.h"

#include "kernels.h"
#include "matmul.h"
#include "resources.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

const char *bench_test_name(bench_test test) {
    static const char *const names[] = {"load", "prefill", "decode"};
    return names[test];
}

static const char *roofline_name(roofline_kind kind) {
    return kind == ROOFLINE_READ ? "bandwidth" : "compute";
}

/* In units of 1e9 per second. */
static double roofline_at(const bench_report *report, roofline_kind kind, double share) {
    return roofline_quantile(report->roofline, kind, share) / 1e9;
}

static json_t *result_json(const bench_report *report, const bench_result *r) {
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:s, s:f, s:f, s:I, s:f, s:f, s:I, s:I, s:I}",
                  "test", bench_test_name(r->test), "attention", pf_attention_name(r->attention),
                  "type", pf_type_get(report->type)->name, "context", (json_int_t)r->context,
                  "tokens_per_second", r->tokens_per_second, "share_of_limit", r->share, "limit",
                  roofline_name(r->limit), "slowest", r->slowest, "fastest", r->fastest, "rounds",
                  (json_int_t)r->rounds, "bytes_per_token", r->bytes_per_token, "flops_per_token",
                  r->flops_per_token, "state_bytes", (json_int_t)r->state_bytes, "rss_bytes",
                  (json_int_t)r->rss_bytes, "peak_rss_bytes", (json_int_t)r->peak_bytes);
    if (json && r->speed_ratio > 0) {
        json_object_set_new(json, "speed_ratio", json_real(r->speed_ratio));
        json_object_set_new(json, "share_ratio", json_real(r->share_ratio));
    }
    return json;
}

static json_t *roofline_json(const bench_report *report) {
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:s}", "read_gb_per_s",
                     roofline_at(report, ROOFLINE_READ, 0.5), "best_read_gb_per_s",
                     roofline_at(report, ROOFLINE_READ, 1), "sgemm_gflops",
                     roofline_at(report, ROOFLINE_SGEMM, 0.5), "best_sgemm_gflops",
                     roofline_at(report, ROOFLINE_SGEMM, 1), "int8_gops",
                     roofline_at(report, ROOFLINE_INT8, 0.5), "best_int8_gops",
                     roofline_at(report, ROOFLINE_INT8, 1), "int8_by", roofline_int8_by());
}

static json_t *types_json(const bench_report *report) {
    json_t *types = json_object();
    for (uint32_t type = 0; type < PF_TYPE_COUNT; type++)
        if (report->type_shares[type] > 0)
            json_object_set_new(types, pf_type_get(type)->name,
                                json_real(report->type_shares[type]));
    return types;
}

void bench_print_json(const bench_report *report, output *out) {
    json_t *results = json_array();
    for (size_t i = 0; i < report->n_results; i++)
        json_array_append_new(results, result_json(report, &report->results[i]));
    output_json(out, json_pack("{s:o, s:I, s:i, s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:s?}", "model",
                               json_text(report->name, strlen(report->name)), "parameters",
                               (json_int_t)pf_model_parameters(report->model), "threads",
                               report->session.n_threads, "kernels", pf_kernels_get()->name, "blas",
                               pf_blas_name(), "features",
                               (json_int_t)report->session.attention.features, "kv",
                               pf_kv_name(report->session.attention.kv), "limits",
                               roofline_json(report), "results", results, "types",
                               types_json(report), "compared_with", report->earlier));
}

void bench_print_csv(const bench_report *report, output *out) {
    output_printf(out,
                  "test,attention,type,context,tokens_per_second,share_of_limit,limit,"
                  "slowest,fastest,rounds,bytes_per_token,flops_per_token,state_bytes,"
                  "rss_bytes,peak_rss_bytes%s\n",
                  report->earlier ? ",speed_ratio,share_ratio" : "");
    for (size_t i = 0; i < report->n_results; i++) {
        const bench_result *r = &report->results[i];
        output_printf(out, "%s,%s,%s,%zu,%.3f,%.4f,%s,%.3f,%.3f,%zu,%.0f,%.0f,%zu,%llu,%llu",
                      bench_test_name(r->test), pf_attention_name(r->attention),
                      pf_type_get(report->type)->name, r->context, r->tokens_per_second, r->share,
                      roofline_name(r->limit), r->slowest, r->fastest, r->rounds,
                      r->bytes_per_token, r->flops_per_token, r->state_bytes,
                      (unsigned long long)r->rss_bytes, (unsigned long long)r->peak_bytes);
        if (report->earlier && r->speed_ratio > 0)
            output_printf(out, ",%.4f,%.4f", r->speed_ratio, r->share_ratio);
        else if (report->earlier)
            output_printf(out, ",,");
        output_printf(out, "\n");
    }
}

/* A row fits 80 columns. The bytes give way to the ratios: JSON and CSV have both. */
static void print_row(const bench_report *report, const bench_result *r, output *out) {
    char speed[32], bytes[16], state[16], rss[16];
    bool load = r->test == BENCH_LOAD;
    snprintf(speed, sizeof speed, load ? "%.1f ms" : "%.1f",
             load ? 1000 / r->tokens_per_second : r->tokens_per_second);
    output_printf(out, "%-7s %-9s %7zu %9s %5.1f %% %-7s", bench_test_name(r->test),
                  pf_attention_name(r->attention), r->context, speed, 100 * r->share,
                  r->limit == ROOFLINE_READ ? "reads" : "compute");
    if (!report->earlier)
        output_printf(out, " %8s %8s", human_bytes((uint64_t)r->bytes_per_token, bytes),
                      human_bytes(r->state_bytes, state));
    output_printf(out, " %8s", human_bytes(r->rss_bytes, rss));
    if (report->earlier && r->speed_ratio > 0)
        output_printf(out, " %7.2f %7.2f", r->speed_ratio, r->share_ratio);
    else if (report->earlier)
        output_printf(out, " %7s %7s", "-", "-");
    output_printf(out, "\n");
}

static void print_header(const bench_report *report, output *out) {
    output_printf(out, "%-7s %-9s %7s %9s %-15s", "test", "attention", "context", "tokens/s",
                  "share of limit");
    if (!report->earlier) output_printf(out, " %8s %8s", "B/token", "state");
    output_printf(out, " %8s", "memory");
    if (report->earlier) output_printf(out, " %7s %7s", "speed x", "share x");
    output_printf(out, "\n");
}

/* "q4_k", or for several types "66% q4_k, 33% q6_k, <1% f32", the largest share first; in text. */
enum { TYPES_TEXT = 16 * PF_TYPE_COUNT };
static const char *types_text(const bench_report *report, char text[TYPES_TEXT]) {
    double below = 2;
    int used = 0;
    if (report->type_shares[report->type] > 0.99999) return pf_type_get(report->type)->name;
    for (;;) {
        double best = 0;
        for (int type = 0; type < PF_TYPE_COUNT; type++)
            if (report->type_shares[type] < below && report->type_shares[type] > best)
                best = report->type_shares[type];
        if (best == 0) return text;
        char share[16] = "<1";
        if (best >= 0.005) snprintf(share, sizeof share, "%.0f", 100 * best);
        for (uint32_t type = 0; type < PF_TYPE_COUNT; type++)
            if (report->type_shares[type] == best)
                used += snprintf(text + used, (size_t)(TYPES_TEXT - used), "%s%s%% %s",
                                 used ? ", " : "", share, pf_type_get(type)->name);
        below = best;
    }
}

void bench_print_table(const bench_report *report, output *out) {
    char types[TYPES_TEXT];
    output_printf(out, "%s, %s, %llu parameters;\n  %d thread%s, %s kernels, OpenBLAS %s\n",
                  report->name, types_text(report, types),
                  (unsigned long long)pf_model_parameters(report->model), report->session.n_threads,
                  plural((uint64_t)report->session.n_threads), pf_kernels_get()->name,
                  pf_blas_name());
    output_printf(out,
                  "limits, median (best): reads %.1f (%.1f) GB/s, sgemm %.0f (%.0f) GFLOP/s,\n"
                  "  int8 %.0f (%.0f) GOP/s by %s\n\n",
                  roofline_at(report, ROOFLINE_READ, 0.5), roofline_at(report, ROOFLINE_READ, 1),
                  roofline_at(report, ROOFLINE_SGEMM, 0.5), roofline_at(report, ROOFLINE_SGEMM, 1),
                  roofline_at(report, ROOFLINE_INT8, 0.5), roofline_at(report, ROOFLINE_INT8, 1),
                  roofline_int8_by());
    print_header(report, out);
    for (size_t i = 0; i < report->n_results; i++) print_row(report, &report->results[i], out);
    if (report->earlier)
        output_printf(out,
                      "\nspeed x, share x: speed and share of the limit, as multiples of those in\n"
                      "  %s\n",
                      report->earlier);
}
