/* floor 5.5 - bench: tokens per second, and what share of the machine's limits they are. */
#include "commands.h"
#include "common.h"
#include "cost.h"
#include "limits.h"
#include "load.h"
#include "matmul.h"
#include "memory.h"
#include "numbers.h"
#include "rng.h"
#include "shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A measurement ends early when its rounds have taken this long together. */
static const double MAX_SECONDS = 20;
enum { MAX_REPEAT = 1000, MAX_DECODE = 256 };

typedef struct bench_result {
    const char *test; /* "load", "prefill" or "decode" */
    pf_attention_kind attention;
    size_t context, rounds;
    double tokens_per_second; /* median */
    double slowest, fastest;
    double share;      /* of the limit */
    const char *limit; /* "bandwidth" or "compute" */
    double bytes_per_token, flops_per_token;
    size_t state_bytes;
    uint64_t rss_bytes;
} bench_result;

typedef struct bench {
    const options *parsed;
    pf_loaded loaded;
    shape wanted;
    random_model *random;
    const pf_model *model;
    pf_session_options session;
    machine_limits limits;
    bool int8;       /* products are with int8 activations */
    pf_type type;    /* of most weights */
    int32_t *tokens; /* [longest context] */
    float *logits;   /* [V] */
    bench_result *results;
    size_t n_results;
    output out;
} bench;

static size_t longest_context(const options *parsed) {
    uint64_t contexts[OPTIONS_MAX_LIST], longest = 0;
    size_t n = options_counts(parsed, FLAG_CONTEXTS, contexts);
    for (size_t i = 0; i < n; i++)
        if (contexts[i] > longest) longest = contexts[i];
    return (size_t)longest;
}

static bool open_model(bench *b, pf_error *error) {
    const options *parsed = b->parsed;
    int n_threads = parsed->given[FLAG_THREADS] ? (int)parsed->values[FLAG_THREADS].count
                                                : pf_threads_default();
    if (parsed->given[FLAG_SHAPE]) {
        pf_type type = PF_F32;
        pf_type_parse(parsed->values[FLAG_BENCH_TYPE].text, &type);
        progress(parsed, "making %s", parsed->values[FLAG_SHAPE].text);
        uint32_t context = (uint32_t)(2 * longest_context(parsed) + 4096);
        b->random = random_model_new(&b->wanted, type, context, n_threads, error);
        if (!b->random) return false;
        b->model = random_model_get(b->random);
    } else {
        if (!pf_loaded_open(parsed->model, &b->loaded, error)) return false;
        b->model = b->loaded.model;
    }
    b->session = pf_session_options_default(b->model);
    b->session.n_threads = n_threads;
    b->session.float_activations = parsed->given[FLAG_FLOAT_ACTIVATIONS];
    attention_apply(parsed, &b->session.attention);
    if (b->random && !parsed->given[FLAG_FEATURES]) b->session.attention.features = 256;
    b->type = cost_main_type(b->model);
    b->int8 = pf_type_get(b->type)->block_size > 1 && !b->session.float_activations;
    return true;
}

static bool prepare(bench *b, pf_error *error) {
    uint64_t contexts[OPTIONS_MAX_LIST];
    char names[OPTIONS_MAX_LIST][32];
    size_t n = options_counts(b->parsed, FLAG_CONTEXTS, contexts) *
                   options_choices(b->parsed, FLAG_ATTENTIONS, names) * 2 +
               1;
    size_t longest = longest_context(b->parsed);
    b->results = pf_calloc(n, sizeof *b->results, "the results", error);
    b->tokens = pf_calloc(longest, sizeof *b->tokens, "the prompt", error);
    b->logits = pf_calloc(b->model->n_vocab, sizeof *b->logits, "the logits", error);
    if (!b->results || !b->tokens || !b->logits) return false;
    pf_rng rng;
    pf_rng_seed(&rng, 1, 0);
    for (size_t i = 0; i < longest; i++)
        b->tokens[i] = (int32_t)(pf_rng_u64(&rng) % b->model->n_vocab);
    progress(b->parsed, "measuring the machine's limits");
    return measure_limits(b->session.n_threads, &b->limits, error);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the rounds' rates; fills in median, range and cost. */
static void finish_result(bench *b, bench_result *r, double *rates, const pf_session *session) {
    qsort(rates, r->rounds, sizeof *rates, compare_doubles);
    size_t n = r->rounds;
    r->tokens_per_second = n % 2 ? rates[n / 2] : (rates[n / 2 - 1] + rates[n / 2]) / 2;
    r->slowest = rates[0];
    r->fastest = rates[n - 1];
    r->state_bytes = pf_session_state_bytes(session);
    r->rss_bytes = current_rss_bytes();
    cost c = cost_of(b->model, &pf_session_get_options(session)->attention, r->context,
                     r->test[0] == 'p');
    r->bytes_per_token = c.bytes;
    r->flops_per_token = c.flops;
}

/* Once all is measured: the limits again, since another program may have disturbed the first time,
 * and every result's share of them. */
static bool finish_shares(bench *b, pf_error *error) {
    machine_limits again;
    if (!measure_limits(b->session.n_threads, &again, error)) {
        b->n_results = 0;
        return false;
    }
    limits_raise(&b->limits, &again);
    double bytes = b->limits.read_gb_per_s * 1e9;
    double flops = (b->int8 ? b->limits.int8_gops : b->limits.sgemm_gflops) * 1e9;
    for (size_t i = 0; i < b->n_results; i++) {
        bench_result *r = &b->results[i];
        bool compute = r->test[0] == 'p';
        r->limit = compute ? "compute" : "bandwidth";
        r->share = r->tokens_per_second *
                   (compute ? r->flops_per_token / flops : r->bytes_per_token / bytes);
    }
    return true;
}

/* One round: the file opened and checked, a session made, one token read. False if that fails. */
static bool load_once(bench *b, bench_result *r, double *rates, pf_error *error) {
    pf_loaded loaded;
    double start = seconds_now();
    if (!pf_loaded_open_checked(b->parsed->model, b->session.n_threads, &loaded, error))
        return false;
    pf_session *session = pf_session_new(loaded.model, &b->session, error);
    bool good = session && pf_session_append(session, b->tokens, 1, b->logits, 1, error);
    rates[r->rounds++] = 1 / (seconds_now() - start);
    if (good) finish_result(b, r, rates, session);
    pf_session_free(session);
    pf_loaded_close(&loaded);
    return good;
}

/* From the file, in the page cache by now, to the first logits. */
static bool measure_load(bench *b, pf_error *error) {
    if (b->random) return true;
    double rates[MAX_REPEAT], start = seconds_now();
    bench_result load = {.test = "load", .attention = b->session.attention.kind, .context = 1};
    size_t repeat = (size_t)b->parsed->values[FLAG_REPEAT].count;
    progress(b->parsed, "loading");
    do {
        if (!load_once(b, &load, rates, error)) return false;
    } while (load.rounds < repeat && seconds_now() - start < MAX_SECONDS &&
             !terminal_interrupted());
    b->results[b->n_results++] = load;
    return true;
}

/* Reads r->context tokens from an empty state, again and again; the last round leaves them read. */
static bool measure_prefill(bench *b, pf_session *session, bench_result *r, double *rates,
                            pf_error *error) {
    size_t repeat = (size_t)b->parsed->values[FLAG_REPEAT].count, n = r->context;
    double total = 0;
    do {
        pf_session_reset(session);
        double start = seconds_now();
        if (!pf_session_append(session, b->tokens, n, b->logits, 1, error)) return false;
        double seconds = seconds_now() - start;
        rates[r->rounds++] = (double)n / seconds;
        total += seconds;
    } while (r->rounds < repeat && total < MAX_SECONDS && !terminal_interrupted());
    finish_result(b, r, rates, session);
    return true;
}

/* How many tokens a round takes: enough to be timed, few enough that the position hardly moves. */
static size_t decode_length(size_t context, size_t repeat) {
    size_t n = context / 4 / repeat;
    return n < 8 ? 8 : n > MAX_DECODE ? MAX_DECODE : n;
}

static bool measure_decode(bench *b, pf_session *session, bench_result *r, double *rates,
                           pf_error *error) {
    size_t repeat = (size_t)b->parsed->values[FLAG_REPEAT].count;
    size_t n = decode_length(r->context, repeat);
    double total = 0;
    do {
        double start = seconds_now();
        for (size_t i = 0; i < n; i++)
            if (!pf_session_append(session, b->tokens + (i + r->rounds) % r->context, 1, b->logits,
                                   1, error))
                return false;
        double seconds = seconds_now() - start;
        rates[r->rounds++] = (double)n / seconds;
        total += seconds;
    } while (r->rounds < repeat && total < MAX_SECONDS && !terminal_interrupted());
    finish_result(b, r, rates, session);
    return true;
}

static bool measure_one(bench *b, pf_attention_kind kind, size_t context, pf_error *error) {
    static const char *const format = "%s, context %zu: %s";
    double rates[MAX_REPEAT];
    size_t repeat = (size_t)b->parsed->values[FLAG_REPEAT].count;
    pf_session_options settings = b->session;
    settings.attention.kind = kind;
    settings.context = context + repeat * decode_length(context, repeat);
    if (b->model->position_embedding && settings.context > b->model->context) {
        note(b->parsed,
             "performer: context %zu is left out: this model has learned positions for "
             "%u tokens",
             context, b->model->context);
        return true;
    }
    pf_session *session = pf_session_new(b->model, &settings, error);
    if (!session) return false;
    bench_result prefill = {.test = "prefill", .attention = kind, .context = context};
    bench_result decode = {.test = "decode", .attention = kind, .context = context};
    progress(b->parsed, format, pf_attention_name(kind), context, "prefill");
    bool good = measure_prefill(b, session, &prefill, rates, error);
    if (good) b->results[b->n_results++] = prefill;
    if (good && !terminal_interrupted()) {
        progress(b->parsed, format, pf_attention_name(kind), context, "decode");
        good = measure_decode(b, session, &decode, rates, error);
        if (good) b->results[b->n_results++] = decode;
    }
    pf_session_free(session);
    return good;
}

static bool measure_all(bench *b, pf_error *error) {
    uint64_t contexts[OPTIONS_MAX_LIST];
    char names[OPTIONS_MAX_LIST][32];
    size_t n_contexts = options_counts(b->parsed, FLAG_CONTEXTS, contexts);
    size_t n_names = options_choices(b->parsed, FLAG_ATTENTIONS, names);
    bool good = measure_load(b, error);
    for (size_t i = 0; i < n_names; i++)
        for (size_t j = 0; good && j < n_contexts && !terminal_interrupted(); j++) {
            pf_attention_kind kind = PF_ATTENTION_SOFTMAX;
            pf_attention_parse(names[i], &kind);
            good = measure_one(b, kind, (size_t)contexts[j], error);
        }
    /* What was measured before a failure is shown all the same. */
    progress(b->parsed, "measuring the machine's limits again");
    good = finish_shares(b, good ? error : NULL) && good;
    progress(b->parsed, "%s", "");
    return good;
}

static const char *model_name(const bench *b) {
    return b->random ? b->parsed->values[FLAG_SHAPE].text : b->parsed->model;
}

static json_t *result_json(const bench *b, const bench_result *r) {
    return json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:s, s:f, s:f, s:I, s:f, s:f, s:I, s:I}",
                     "test", r->test, "attention", pf_attention_name(r->attention), "type",
                     pf_type_get(b->type)->name, "context", (json_int_t)r->context,
                     "tokens_per_second", r->tokens_per_second, "share_of_limit", r->share, "limit",
                     r->limit, "slowest", r->slowest, "fastest", r->fastest, "rounds",
                     (json_int_t)r->rounds, "bytes_per_token", r->bytes_per_token,
                     "flops_per_token", r->flops_per_token, "state_bytes",
                     (json_int_t)r->state_bytes, "rss_bytes", (json_int_t)r->rss_bytes);
}

static void print_json(bench *b) {
    json_t *results = json_array();
    for (size_t i = 0; i < b->n_results; i++)
        json_array_append_new(results, result_json(b, &b->results[i]));
    const char *name = model_name(b);
    output_json(&b->out,
                json_pack("{s:o, s:I, s:i, s:s, s:s, s:I, s:s, s:{s:f, s:f, s:f, s:s}, s:o}",
                          "model", json_text(name, strlen(name)), "parameters",
                          (json_int_t)pf_model_parameters(b->model), "threads",
                          b->session.n_threads, "kernels", pf_kernels_get()->name, "blas",
                          pf_blas_name(), "features", (json_int_t)b->session.attention.features,
                          "kv", pf_kv_name(b->session.attention.kv), "limits", "read_gb_per_s",
                          b->limits.read_gb_per_s, "sgemm_gflops", b->limits.sgemm_gflops,
                          "int8_gops", b->limits.int8_gops, "int8_by", b->limits.int8_by, "results",
                          results));
}

static void print_csv(bench *b) {
    output_printf(&b->out, "test,attention,type,context,tokens_per_second,share_of_limit,limit,"
                           "slowest,fastest,rounds,bytes_per_token,flops_per_token,state_bytes,"
                           "rss_bytes\n");
    for (size_t i = 0; i < b->n_results; i++) {
        const bench_result *r = &b->results[i];
        output_printf(&b->out, "%s,%s,%s,%zu,%.3f,%.4f,%s,%.3f,%.3f,%zu,%.0f,%.0f,%zu,%llu\n",
                      r->test, pf_attention_name(r->attention), pf_type_get(b->type)->name,
                      r->context, r->tokens_per_second, r->share, r->limit, r->slowest, r->fastest,
                      r->rounds, r->bytes_per_token, r->flops_per_token, r->state_bytes,
                      (unsigned long long)r->rss_bytes);
    }
}

static void print_table(bench *b) {
    char bytes[16], state[16], rss[16];
    output_printf(&b->out, "%s, %s, %llu parameters; %d threads, %s kernels, OpenBLAS %s\n",
                  model_name(b), pf_type_get(b->type)->name,
                  (unsigned long long)pf_model_parameters(b->model), b->session.n_threads,
                  pf_kernels_get()->name, pf_blas_name());
    output_printf(&b->out, "limits: reads %.1f GB/s, sgemm %.0f GFLOP/s, int8 %.0f GOP/s (%s)\n\n",
                  b->limits.read_gb_per_s, b->limits.sgemm_gflops, b->limits.int8_gops,
                  b->limits.int8_by);
    output_printf(&b->out, "%-8s %-9s %8s %12s %7s of %-9s %12s %10s %10s\n", "test", "attention",
                  "context", "tokens/s", "share", "limit", "bytes/token", "state", "memory");
    for (size_t i = 0; i < b->n_results; i++) {
        const bench_result *r = &b->results[i];
        char speed[32];
        bool load = r->test[0] == 'l';
        snprintf(speed, sizeof speed, load ? "%.1f ms" : "%.1f",
                 load ? 1000 / r->tokens_per_second : r->tokens_per_second);
        output_printf(&b->out, "%-8s %-9s %8zu %12s %5.1f %% of %-9s %12s %10s %10s\n", r->test,
                      pf_attention_name(r->attention), r->context, speed, 100 * r->share, r->limit,
                      human_bytes((uint64_t)r->bytes_per_token, bytes),
                      human_bytes(r->state_bytes, state), human_bytes(r->rss_bytes, rss));
    }
}

static int run(const options *parsed) {
    if (parsed->model && parsed->given[FLAG_SHAPE])
        return complain_usage("bench", "give a MODEL or --shape, not both");
    bench b = {.parsed = parsed};
    pf_error error = {0};
    if (parsed->given[FLAG_SHAPE] &&
        !shape_parse(parsed->values[FLAG_SHAPE].text, &b.wanted, &error))
        return complain_usage("bench", "%s", error.message);
    terminal_catch_interrupt();
    bool good = open_model(&b, &error) && prepare(&b, &error) && measure_all(&b, &error);
    if (!good) progress(parsed, "%s", "");
    if (b.n_results && parsed->given[FLAG_JSON])
        print_json(&b);
    else if (b.n_results && parsed->given[FLAG_CSV])
        print_csv(&b);
    else if (b.n_results)
        print_table(&b);
    int status = output_finish(&b.out);
    if (!good) status = complain(&error);
    pf_free(b.results);
    pf_free(b.tokens);
    pf_free(b.logits);
    random_model_free(b.random);
    pf_loaded_close(&b.loaded);
    return status;
}

const command command_bench = {
    .name = "bench",
    .bit = FOR_BENCH,
    .usage = "(MODEL | --shape SHAPE) [options]",
    .summary = "tokens per second, memory, shares of the machine's limits",
    .manual =
        "Measures, for each attention and context length, prefill (tokens/s of reading a prompt of "
        "that length) and decode (tokens/s one by one behind such a prompt), as medians of "
        "--repeat rounds; for a file also load: from opening it, already in memory, to the logits "
        "of the first token (--json and --csv: how many times a second). In the same run, before "
        "and after, it measures what the machine can do: "
        "read bandwidth, "
        "single-precision matrix products, int8 multiply-adds.\n\n"
        "Each figure is shown with its share of the limit that bounds it. Decode: bytes per token "
        "(weights and state read, the running sums also written) against bandwidth; it can exceed "
        "100 % where the weights fit the caches. Prefill: operations per token against sgemm, or "
        "against int8 where weights are quantised and activations are not --float-activations. "
        "Memory is what is resident after the test.",
    .examples = "performer bench models/weights/tales-favor.gguf --context 256,16384\n"
                "performer bench --shape 110M --type q8_0 --attention favor --json",
    .run = run,
};
