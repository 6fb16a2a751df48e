/* floor 5.6 - bench: tokens per second, and their share of the machine's limits. */
#include "bench_earlier.h"
#include "bench_print.h"
#include "commands.h"
#include "divergence.h"
#include "flop_count.h"
#include "kernels.h"
#include "load.h"
#include "matmul.h"
#include "memory.h"
#include "resources.h"
#include "rng.h"
#include "session_flags.h"
#include "shape.h"
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A measurement ends early once its rounds have taken this long in total. */
static const double MAX_SECONDS = 20;
enum { MAX_REPEAT = 1000, MAX_DECODE = 64 };

typedef struct bench {
    const options *parsed;
    pf_loaded loaded;
    shape wanted;
    random_model *random;
    const pf_model *model;
    pf_session_options session;
    roofline *roofline;
    bool int8;    /* matrix products use int8 activations */
    pf_type type; /* the type of most weights */
    double type_shares[PF_TYPE_COUNT];
    bench_earlier *earlier; /* --compare, or NULL */
    int32_t *tokens;        /* [longest context] */
    float *logits;          /* [V] */
    bench_result *results;
    size_t n_results;
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
    b->type = flop_count_types(b->model, b->type_shares);
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
    b->roofline = roofline_new(b->session.n_threads, error);
    for (int kind = 0; b->roofline && kind < ROOFLINE_COUNT; kind++)
        for (int i = 0; i < 3; i++) roofline_measure(b->roofline, (roofline_kind)kind);
    return b->roofline != NULL;
}

/* One round of a test, with n tokens, after r->rounds earlier ones. Returns the seconds it took, or
 * a negative number if it failed. */
typedef double (*run_round)(bench *b, pf_session *session, bench_result *r, size_t n,
                            pf_error *error);

/* Tokens per round: enough to be timed, few enough that the position hardly moves. */
static size_t decode_length(size_t context, size_t repeat) {
    size_t n = context / 4 / repeat;
    return n < 8 ? 8 : n > MAX_DECODE ? MAX_DECODE : n;
}

static double load_round(bench *b, pf_session *none, bench_result *r, size_t n, pf_error *error) {
    pf_loaded loaded;
    double start = seconds_now(), seconds = -1;
    (void)none;
    if (!pf_loaded_open_checked(b->parsed->model, b->session.n_threads, &loaded, error)) return -1;
    pf_session *session = pf_session_new(loaded.model, &b->session, error);
    if (session && pf_session_append(session, b->tokens, n, b->logits, 1, error))
        seconds = seconds_now() - start;
    if (session) r->state_bytes = pf_session_state_bytes(session);
    pf_session_free(session);
    pf_loaded_close(&loaded);
    return seconds;
}

/* The prompt of the last round stays read: decode continues from there. */
static double prefill_round(bench *b, pf_session *session, bench_result *r, size_t n,
                            pf_error *error) {
    (void)r;
    pf_session_reset(session);
    double start = seconds_now();
    if (!pf_session_append(session, b->tokens, n, b->logits, 1, error)) return -1;
    return seconds_now() - start;
}

static double decode_round(bench *b, pf_session *session, bench_result *r, size_t n,
                           pf_error *error) {
    double start = seconds_now();
    for (size_t i = 0; i < n; i++)
        if (!pf_session_append(session, b->tokens + (i + r->rounds) % r->context, 1, b->logits, 1,
                               error))
            return -1;
    return seconds_now() - start;
}

/* Sets the limit that bounds a test, and returns what one token costs in its terms. */
static double work_per_token(const bench *b, bench_result *r,
                             const pf_attention_options *attention) {
    bool prefill = r->test == BENCH_PREFILL;
    flop_count c = flop_count_token(b->model, attention, r->context, prefill);
    r->limit = !prefill ? ROOFLINE_READ : b->int8 ? ROOFLINE_INT8 : ROOFLINE_SGEMM;
    r->bytes_per_token = c.bytes;
    r->flops_per_token = c.flops;
    return prefill ? c.flops : c.bytes;
}

static uint64_t without_roofline(const bench *b, uint64_t bytes) {
    uint64_t ours = roofline_bytes(b->roofline);
    return bytes > ours ? bytes - ours : bytes;
}

static void compare_with_earlier(const bench *b, bench_result *r) {
    double speed, share;
    if (!b->earlier ||
        !bench_earlier_find(b->earlier, bench_test_name(r->test), pf_attention_name(r->attention),
                            r->context, &speed, &share))
        return;
    r->speed_ratio = speed > 0 ? r->tokens_per_second / speed : 0;
    r->share_ratio = share > 0 ? r->share / share : 0;
}

/* Runs rounds of n tokens, and measures the machine's limit before and after each: the round's
 * share is relative to the mean of the two. Appends the result. */
static bool measure(bench *b, pf_session *session, bench_result r, run_round round, size_t n,
                    pf_error *error) {
    double rates[MAX_REPEAT], shares[MAX_REPEAT], total = 0;
    size_t repeat = (size_t)b->parsed->values[FLAG_REPEAT].count;
    double token_work = work_per_token(
        b, &r, session ? &pf_session_get_options(session)->attention : &b->session.attention);
    double before = roofline_measure(b->roofline, r.limit);
    do {
        double seconds = round(b, session, &r, n, error);
        if (seconds < 0) return false;
        double after = roofline_measure(b->roofline, r.limit), rate = (double)n / seconds;
        rates[r.rounds] = rate;
        shares[r.rounds++] = rate * token_work / ((before + after) / 2);
        before = after;
        total += seconds;
    } while (r.rounds < repeat && total < MAX_SECONDS && !terminal_interrupted());
    sort_values(rates, r.rounds);
    sort_values(shares, r.rounds);
    r.tokens_per_second = quantile(rates, r.rounds, 0.5);
    r.share = quantile(shares, r.rounds, 0.5);
    r.slowest = rates[0];
    r.fastest = rates[r.rounds - 1];
    if (session) r.state_bytes = pf_session_state_bytes(session);
    r.rss_bytes = without_roofline(b, current_rss_bytes());
    r.peak_bytes = without_roofline(b, peak_rss_bytes());
    if (r.peak_bytes < r.rss_bytes) r.peak_bytes = r.rss_bytes; /* the system counts it late */
    compare_with_earlier(b, &r);
    b->results[b->n_results++] = r;
    return true;
}

/* From opening the file, which is in the page cache by now, to the first logits. */
static bool measure_load(bench *b, pf_error *error) {
    if (b->random) return true;
    progress(b->parsed, "loading");
    bench_result load = {.test = BENCH_LOAD, .attention = b->session.attention.kind, .context = 1};
    return measure(b, NULL, load, load_round, 1, error);
}

static bool measure_one(bench *b, pf_attention_kind kind, size_t context, pf_error *error) {
    static const char *const format = "%s, context %zu: %s";
    size_t repeat = (size_t)b->parsed->values[FLAG_REPEAT].count;
    size_t n_decode = decode_length(context, repeat);
    pf_session_options settings = b->session;
    settings.attention.kind = kind;
    settings.context = context + n_decode * repeat;
    if (b->model->position_embedding && settings.context > b->model->context) {
        note(b->parsed,
             "performer: skipping context %zu: this model has learned positions for only "
             "%u tokens",
             context, b->model->context);
        return true;
    }
    pf_session *session = pf_session_new(b->model, &settings, error);
    if (!session) return false;
    bench_result prefill = {.test = BENCH_PREFILL, .attention = kind, .context = context};
    bench_result decode = {.test = BENCH_DECODE, .attention = kind, .context = context};
    progress(b->parsed, format, pf_attention_name(kind), context, "prefill");
    bool good = measure(b, session, prefill, prefill_round, context, error);
    if (good && !terminal_interrupted()) {
        progress(b->parsed, format, pf_attention_name(kind), context, "decode");
        good = measure(b, session, decode, decode_round, n_decode, error);
    }
    pf_session_free(session);
    return good;
}

/* Keeps the results measured before a failure. */
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
    progress(b->parsed, "%s", "");
    return good;
}

static void print_results(const bench *b, output *out) {
    const options *parsed = b->parsed;
    bench_report report = {.name = b->random ? parsed->values[FLAG_SHAPE].text : parsed->model,
                           .model = b->model,
                           .type = b->type,
                           .type_shares = b->type_shares,
                           .session = b->session,
                           .roofline = b->roofline,
                           .results = b->results,
                           .n_results = b->n_results,
                           .earlier = b->earlier ? parsed->values[FLAG_BENCH_COMPARE].text : NULL};
    if (parsed->given[FLAG_JSON])
        bench_print_json(&report, out);
    else if (parsed->given[FLAG_CSV])
        bench_print_csv(&report, out);
    else
        bench_print_table(&report, out);
}

static void warn(const bench *b, const char *what, const char *then, const char *now) {
    if (strcmp(then, now) != 0)
        note(b->parsed, "performer: warning: %s has another %s: %s, now %s",
             b->parsed->values[FLAG_BENCH_COMPARE].text, what, *then ? then : "unknown", now);
}

/* Says in what the earlier run differs, so that a ratio is not put down to something else. */
static void warn_of_differences(const bench *b) {
    char then[24], now[24];
    if (!b->earlier) return;
    warn(b, "model", bench_earlier_text(b->earlier, "model"),
         b->random ? b->parsed->values[FLAG_SHAPE].text : b->parsed->model);
    warn(b, "type of weights", bench_earlier_type(b->earlier), pf_type_get(b->type)->name);
    warn(b, "set of kernels", bench_earlier_text(b->earlier, "kernels"), pf_kernels_get()->name);
    snprintf(then, sizeof then, "%ld", bench_earlier_number(b->earlier, "threads"));
    snprintf(now, sizeof now, "%d", b->session.n_threads);
    warn(b, "number of threads", then, now);
}

static bool read_earlier(bench *b, pf_error *error) {
    if (!b->parsed->given[FLAG_BENCH_COMPARE]) return true;
    b->earlier = bench_earlier_read(b->parsed->values[FLAG_BENCH_COMPARE].text, error);
    return b->earlier != NULL;
}

static int run(const options *parsed) {
    if (parsed->model && parsed->given[FLAG_SHAPE])
        return complain_usage("bench", "give MODEL or --shape, not both");
    bench b = {.parsed = parsed};
    pf_error error = {0};
    if (parsed->given[FLAG_SHAPE] &&
        !shape_parse(parsed->values[FLAG_SHAPE].text, &b.wanted, &error))
        return complain_usage("bench", "%s", error.message);
    terminal_catch_interrupt();
    bool good = read_earlier(&b, &error) && open_model(&b, &error);
    if (good) warn_of_differences(&b);
    good = good && prepare(&b, &error) && measure_all(&b, &error);
    if (!good) progress(parsed, "%s", "");
    output out = {0};
    if (b.n_results) print_results(&b, &out);
    int status = output_finish(&out);
    if (!good)
        status = complain(&error);
    else if (terminal_interrupted())
        status = note_partly(parsed, status);
    bench_earlier_free(b.earlier);
    roofline_free(b.roofline);
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
    .summary = "measure speed and memory, against the machine's limits",
    .manual =
        "Measures prefill (tokens/s reading a prompt) and decode (tokens/s one at a time, after "
        "such a prompt) for each attention and context length, as medians of --repeat rounds. For "
        "a file it also measures load: the time from opening the file, which is already in memory, "
        "to the logits of the first token (--json and --csv: how many times per second). Before "
        "and after each round it measures what the machine can do: read bandwidth, "
        "single-precision matrix products, or int8 multiply-adds.\n\n"
        "Each figure comes with its share of the limit that bounds it, the median of the rounds' "
        "shares: on a shared machine, memory may be twice as fast a minute later, but then so is "
        "the limit. Decode compares the bytes per token (weights and state "
        "read, running sums also written) with the bandwidth; it can exceed 100 % if the weights "
        "fit into the caches. Prefill compares the operations per token with sgemm, or with int8 "
        "if the weights are quantised and --float-activations is not given. Memory is what is "
        "resident after the test. For a file with several types of weights, the first line gives "
        "the share of each in the bytes that a token reads.\n\n"
        "--compare FILE.json shows how many times as fast each test is as in an earlier run. On a "
        "shared machine look at the ratio of the shares: it leaves out what the machine itself "
        "did better or worse.",
    .examples = "performer bench models/weights/tales-favor.gguf --context 256,16384\n"
                "performer bench --shape 110M --type q8_0 --attention favor --json\n"
                "performer bench model.gguf --compare before.json",
    .run = run,
};
