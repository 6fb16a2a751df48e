/* floor 5.6 - compare: what one model says under several attentions, in numbers. */
#include "commands.h"
#include "comparison.h"
#include "given_texts.h"
#include "memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct comparison_run {
    const options *parsed;
    pf_loaded loaded;
    input_texts texts;
    size_t n_tokens, longest;
    compared *rows; /* [n], the reference first */
    size_t n;
} comparison_run;

/* Without --against: the checkpoint's own features, more of them, and windows for scale. */
static const char *const default_settings[] = {
    "favor",
    "favor,features=256",
    "favor,window=16,sinks=1",
    "local,window=16,sinks=1",
};
enum { N_DEFAULTS = sizeof default_settings / sizeof default_settings[0], SETTING_SIZE = 128 };

static bool add_row(comparison_run *run, const char *setting, pf_error *error) {
    compared *row = &run->rows[run->n];
    char pieces[SETTING_SIZE];
    options parsed = *run->parsed;
    if (strlen(setting) >= SETTING_SIZE)
        return pf_fail(error, "--against \"%.40s...\" is longer than %d characters", setting,
                       SETTING_SIZE - 1);
    strcpy(row->name, setting);
    strcpy(pieces, setting);
    if (!options_parse_setting(&parsed, FLAG_ATTENTION, pieces, error))
        return pf_fail(error, "--against \"%s\": %s", setting, error->message);
    if (!session_options_from(&parsed, run->loaded.model, &row->options, error)) return false;
    bool given = parsed.given[FLAG_CONTEXT];
    if (!given && row->options.context < run->longest + 16 &&
        !run->loaded.model->position_embedding)
        row->options.context = run->longest + 16;
    run->n++;
    return true;
}

static bool make_rows(comparison_run *run, pf_error *error) {
    const char *given[OPTIONS_MAX_REPEATS];
    size_t n = options_repeats(run->parsed, FLAG_AGAINST, given);
    const char *const *settings = n ? given : default_settings;
    if (n == 0) n = N_DEFAULTS;
    run->rows = pf_calloc(n + 1, sizeof *run->rows, "the settings", error);
    if (!run->rows || !add_row(run, "softmax", error)) return false;
    for (size_t i = 0; i < n; i++)
        if (!add_row(run, settings[i], error)) return false;
    return true;
}

static bool read_texts(comparison_run *run, pf_error *error) {
    if (!read_given_texts(run->parsed, &run->loaded, &run->texts, error)) return false;
    for (size_t i = 0; i < run->texts.count; i++) {
        size_t count = run->texts.texts[i].count;
        run->n_tokens += count;
        if (count > run->longest) run->longest = count;
    }
    return run->longest > 1 ||
           pf_fail(error, "nothing is predicted: give a text of at least two tokens");
}

static void show_progress(void *context, size_t done) {
    const comparison_run *run = context;
    progress(run->parsed, "%zu of %zu tokens", done, run->n_tokens * run->n);
}

static double per_token_ms(double seconds, size_t tokens) {
    return tokens ? 1e3 * seconds / (double)tokens : 0;
}

static json_t *row_json(const compared *row) {
    double n = (double)row->predicted, loss = row->nll / n;
    return json_pack(
        "{s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:f, s:f, s:I, s:I}", "name", row->name, "attention",
        pf_attention_name(row->options.attention.kind), "loss", loss, "perplexity", exp(loss),
        "kl_mean", row->kl / n, "top1_agreement", (double)row->top1 / n, "state_bytes",
        (json_int_t)row->state_bytes, "prefill_ms_per_token",
        per_token_ms(row->prefill_seconds, row->prefill_tokens), "decode_ms_per_token",
        per_token_ms(row->decode_seconds, row->decode_tokens), "bad_denominators",
        (json_int_t)row->stats.bad_denominators, "redraws", (json_int_t)row->stats.redraws);
}

static void print_json(const comparison_run *run, output *out) {
    json_t *settings = json_array();
    for (size_t i = 1; i < run->n; i++) json_array_append_new(settings, row_json(&run->rows[i]));
    output_json(out, json_pack("{s:I, s:I, s:o, s:o}", "tokens", (json_int_t)run->n_tokens,
                               "predicted", (json_int_t)run->rows[0].predicted, "reference",
                               row_json(&run->rows[0]), "settings", settings));
}

static void print_table(const comparison_run *run, output *out) {
    char bytes[16];
    output_printf(out, "%-32s %8s %10s %8s %6s %10s %9s %9s\n", "attention", "loss", "perplexity",
                  "KL", "top-1", "state", "prefill", "decode");
    for (size_t i = 0; i < run->n; i++) {
        const compared *row = &run->rows[i];
        double n = (double)row->predicted, loss = row->nll / n;
        output_printf(out, "%-32s %8.4f %10.4f %8.4f %5.1f%% %10s %6.3f ms %6.3f ms\n", row->name,
                      loss, exp(loss), row->kl / n, 100 * (double)row->top1 / n,
                      human_bytes(row->state_bytes, bytes),
                      per_token_ms(row->prefill_seconds, row->prefill_tokens),
                      per_token_ms(row->decode_seconds, row->decode_tokens));
    }
}

static bool compare(comparison_run *run, pf_error *error) {
    if (!pf_loaded_open(run->parsed->model, &run->loaded, error) || !read_texts(run, error) ||
        !make_rows(run, error))
        return false;
    terminal_catch_interrupt();
    bool good =
        compare_texts(run->loaded.model, &run->texts, run->rows, run->n, show_progress, run, error);
    progress(run->parsed, "%s", "");
    return good;
}

static int run_compare(const options *parsed) {
    if (!one_text_is_named(parsed, "compare")) return EXIT_USAGE;
    comparison_run run = {.parsed = parsed};
    output out = {0};
    pf_error error = {0};
    int status;
    if (compare(&run, &error)) {
        if (parsed->given[FLAG_JSON])
            print_json(&run, &out);
        else
            print_table(&run, &out);
        status = output_finish(&out);
    } else {
        status = complain(&error);
    }
    pf_free(run.rows);
    input_texts_free(&run.texts);
    pf_loaded_close(&run.loaded);
    return status;
}

const command command_compare = {
    .name = "compare",
    .bit = FOR_COMPARE,
    .usage = "MODEL (-p TEXT | --file FILE | --tokens FILE) [--against SETTING ...] [options]",
    .summary = "what one model says under several attentions, in numbers",
    .manual =
        "Reads the same text under exact softmax and under every setting, and tells how far each "
        "is from softmax: the loss (mean nats per predicted token) and its perplexity, the "
        "Kullback-Leibler divergence of the setting's predictions from softmax's (mean, nats), "
        "how often the most probable token agrees, the bytes of state a session keeps, and the "
        "time per token of reading and of writing.\n\n"
        "Softmax is given the context that the text needs, also beyond the one the model was "
        "trained for where positions are rotary.",
    .examples =
        "performer compare models/weights/tales-softmax.gguf --file models/weights/sample.txt\n"
        "performer compare model.gguf -p \"Once upon a time\" --against "
        "\"favor,features=256\" --against \"local,window=32,sinks=1\"\n",
    .run = run_compare,
};
