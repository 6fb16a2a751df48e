/* floor 5.8 - compare: one model under several attentions, in numbers. */
#include "commands.h"
#include "compare_print.h"
#include "given_texts.h"
#include "memory.h"
#include "open_model.h"
#include "recall_print.h"
#include "recall_setup.h"
#include "report.h"
#include "scaling.h"
#include "session_flags.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct compare_run {
    const options *parsed;
    pf_loaded loaded, reference; /* reference: zeroed without --reference */
    input_texts texts;
    size_t longest; /* tokens of the longest text */
    compare_names names;
    char text_name[256];
    comparison c;
    recall_setup setup;
    recall recall;
} compare_run;

/* Without --against: the checkpoint's own features, more of them, windows for scale, the plain mean
 * of the values (attention that ignores its input), and every other map. */
static const char *const default_settings[] = {
    "favor",          "favor,features=256",    "favor,window=16,sinks=1", "local,window=16,sinks=1",
    "mean",           "favor,map=positive",    "favor,map=favor++",       "favor,map=hyperbolic",
    "favor,map=trig", "favor,map=trig-offset", "favor,map=relu",          "favor,map=elu",
};
enum {
    N_DEFAULTS = sizeof default_settings / sizeof default_settings[0],
    FIRST_MAP = 5, /* index of the first setting that names a map */
    SETTING_SIZE = sizeof((compared *)NULL)->name,
    SPARE_TOKENS = 25,     /* after a text, to time single tokens */
    MEASURED_TOKENS = 256, /* of the text, to measure the error by number of features */
    REPORT_SECONDS = 20,   /* for the report's scaling measurements */
    WHOLE_PROMPT = 96,     /* a text of up to this many tokens is continued whole */
    RECALL_TOKENS = 1024,  /* of the text, to compare beside --recall */
};

/* The plain mean, computed by the code that runs every other setting: the epsilon is so large that
 * the features vanish beside it, and all weights are the same. */
static void set_mean(pf_attention_options *attention) {
    *attention = pf_attention_options_default();
    attention->kind = PF_ATTENTION_FAVOR;
    attention->features = 1;
    attention->epsilon = 1e6f;
    attention->uncalibrated = true;
}

static size_t needed_context(const compare_run *run) {
    size_t writing = run->c.n_prompt + run->c.n_write, reading = run->longest + SPARE_TOKENS;
    return writing > reading ? writing : reading;
}

/* Changes *parsed as --against "SETTING" says; its texts then point into pieces [SETTING_SIZE]. */
static bool parse_setting(const char *setting, options *parsed, char *pieces, pf_error *error) {
    if (strlen(setting) >= SETTING_SIZE)
        return pf_fail(error, "--against \"%.40s...\" is too long; the limit is %d bytes", setting,
                       (int)SETTING_SIZE - 1);
    snprintf(pieces, SETTING_SIZE, "%s", setting);
    return strcmp(setting, "mean") == 0 ||
           options_parse_setting(parsed, FLAG_ATTENTION, pieces, error) ||
           pf_fail(error, "--against \"%s\": %s", setting, error->message);
}

static bool set_row(const compare_run *run, const char *setting, compared *row, pf_error *error) {
    char pieces[SETTING_SIZE];
    options parsed = *run->parsed;
    bool is_reference = row == run->c.rows && run->reference.model;
    const pf_model *model = is_reference ? run->reference.model : run->loaded.model;
    row->model = model;
    if (!parse_setting(setting, &parsed, pieces, error)) return false;
    snprintf(row->name, sizeof row->name, "%s", setting);
    if (!session_options_from(&parsed, model, &row->options, error)) return false;
    if (strcmp(setting, "mean") == 0) set_mean(&row->options.attention);
    size_t needed = needed_context(run);
    bool limited = model->position_embedding && needed > model->context;
    if (!parsed.given[FLAG_CONTEXT]) row->options.context = limited ? model->context : needed;
    return true;
}

/* False for a default setting that the checkpoint cannot run, or that repeats an earlier one. */
static bool default_fits(const compare_run *run, int index, const compared *row) {
    const pf_model *model = run->loaded.model;
    if (index >= FIRST_MAP && run->parsed->given[FLAG_MAP]) return false;
    if (index >= FIRST_MAP && row->options.attention.map == model->attention.map) return false;
    bool calibrated = model->layers[0].favor.q_center && !row->options.attention.uncalibrated;
    if (row->options.attention.map == PF_MAP_FAVOR_PP && !calibrated && index >= FIRST_MAP)
        return false; /* without calibration, favor++ equals the positive map */
    pf_session_options tried = row->options;
    tried.context = 1;
    pf_session *session = pf_session_new(model, &tried, NULL);
    pf_session_free(session);
    return session != NULL;
}

static bool make_rows(compare_run *run, pf_error *error) {
    const char *given[OPTIONS_MAX_REPEATS];
    size_t n = options_repeats(run->parsed, FLAG_AGAINST, given);
    run->names.all_texts = n > 0;
    comparison *c = &run->c;
    c->rows = pf_calloc((n ? n : N_DEFAULTS) + 1, sizeof *c->rows, "the settings", error);
    if (!c->rows || !set_row(run, "softmax", &c->rows[0], error)) return false;
    c->rows[0].options.attention.kv = PF_KV_F32; /* the reference is exact */
    c->n = 1;
    for (size_t i = 0; i < n; i++)
        if (!set_row(run, given[i], &c->rows[c->n++], error)) return false;
    int defaults = run->parsed->given[FLAG_RECALL] ? 1 : N_DEFAULTS;
    for (int i = 0; n == 0 && i < defaults; i++) {
        if (!set_row(run, default_settings[i], &c->rows[c->n], error)) return false;
        if (default_fits(run, i, &c->rows[c->n])) c->n++;
    }
    return true;
}

/* Sets the sizes of the texts, and the prompt of the greedy continuations: the first text if it
 * came from -p or is short, else its first half. */
static bool measure_texts(compare_run *run, pf_error *error) {
    const pf_tokens *first = NULL;
    for (size_t i = 0; i < run->texts.count; i++) {
        const pf_tokens *text = &run->texts.texts[i];
        run->names.n_tokens += text->count;
        if (text->count > run->longest) run->longest = text->count;
        if (!first && text->count > 0) first = text;
    }
    if (!first || run->longest < 2)
        return pf_fail(error, "there is nothing to predict; give a text of at least two tokens");
    comparison *c = &run->c;
    bool whole = run->parsed->given[FLAG_TEXT_ARGUMENT] || first->count <= WHOLE_PROMPT;
    c->prompt = first->ids;
    c->n_prompt = whole ? first->count : first->count / 2;
    c->n_write = (size_t)run->parsed->values[FLAG_CONTINUE].count;
    return true;
}

/* Takes what the recall texts are made from, and leaves RECALL_TOKENS to compare. */
static bool set_up_recall(compare_run *run, bool *cut, pf_error *error) {
    const input_texts *given = text_sources(run->parsed) ? &run->texts : NULL;
    if (!recall_setup_make(run->parsed, &run->loaded, given, &run->setup, error)) return false;
    size_t left = RECALL_TOKENS;
    for (size_t i = 0; i < run->texts.count; i++) {
        pf_tokens *text = &run->texts.texts[i];
        if (text->count > left) {
            text->count = left;
            *cut = true;
        }
        left -= text->count;
    }
    return true;
}

static bool read_texts(compare_run *run, pf_error *error) {
    const options *parsed = run->parsed;
    const char *name = parsed->given[FLAG_TOKENS_FILE] ? parsed->values[FLAG_TOKENS_FILE].text
                       : parsed->given[FLAG_TEXT_FILE] ? parsed->values[FLAG_TEXT_FILE].text
                                                       : "the text of -p";
    bool good;
    if (text_sources(parsed) == 0) {
        good = read_shipped_text(&run->loaded, parsed->model, &run->texts, error);
        name = "the shipped sample.txt";
    } else {
        good = read_given_texts(parsed, &run->loaded, &run->texts, error);
    }
    if (strcmp(name, "-") == 0) name = "standard input";
    bool cut = false;
    if (good && parsed->given[FLAG_RECALL]) good = set_up_recall(run, &cut, error);
    snprintf(run->text_name, sizeof run->text_name, "%s%.200s", cut ? "the beginning of " : "",
             name);
    run->names.model = parsed->model;
    run->names.text = run->text_name;
    return good && measure_texts(run, error);
}

static void show_progress(void *context, size_t done) {
    const compare_run *run = context;
    size_t each = run->names.n_tokens + run->c.n_write;
    progress(run->parsed, "%zu of %zu tokens", done, each * run->c.n);
}

static void show_recall(void *context, const char *setting, const char *task, size_t done,
                        size_t all) {
    const compare_run *run = context;
    progress(run->parsed, "recall under %s: %s, text %zu of %zu", setting, task, done + 1, all);
}

static bool measure_recall(compare_run *run, pf_error *error) {
    recall *r = &run->recall;
    *r = (recall){.model = run->loaded.model,
                  .rows = run->c.rows,
                  .n_rows = run->c.n,
                  .source = run->setup.source,
                  .distances = run->setup.distances,
                  .n_distances = run->setup.n_distances,
                  .most_tokens = run->setup.most_tokens,
                  .tell = show_recall,
                  .context = run};
    return recall_run(r, error);
}

/* --reference: another model, whose predictions and layers can be held against MODEL's. */
static bool load_reference(compare_run *run, pf_error *error) {
    const pf_model *m = run->loaded.model, *r;
    const char *path = run->parsed->values[FLAG_REFERENCE].text;
    if (!path) return true;
    if (!pf_loaded_open_checked(path, pf_threads_default(), &run->reference, error)) return false;
    r = run->reference.model;
    bool same = r->n_vocab == m->n_vocab && r->n_layers == m->n_layers && r->width == m->width &&
                r->n_heads == m->n_heads && r->n_kv_heads == m->n_kv_heads &&
                r->head_dim == m->head_dim;
    return same || pf_fail(error,
                           "%s has another shape or vocabulary than %s; the reference must be the "
                           "same model before it was changed",
                           path, run->parsed->model);
}

static bool compare(compare_run *run, pf_error *error) {
    if (!load_model(run->parsed, &run->loaded, error) || !load_reference(run, error) ||
        !read_texts(run, error) || !make_rows(run, error))
        return false;
    comparison *c = &run->c;
    size_t context = c->rows[0].options.context;
    if (run->longest - 1 > context) /* the last token is only predicted */
        return pf_fail(error, "the text has %zu tokens, but the context is %zu; shorten it%s",
                       run->longest, context,
                       run->loaded.model->position_embedding ? "" : ", or leave --context out");
    warn_beyond_training(run->parsed, run->loaded.model, &c->rows[0].options, run->longest);
    c->model = run->loaded.model;
    c->tokenizer = run->loaded.tokenizer;
    c->texts = &run->texts;
    c->tell = show_progress;
    c->context = run;
    terminal_catch_interrupt();
    show_progress(run, 0);
    bool good = comparison_run(c, error) &&
                (!run->parsed->given[FLAG_RECALL] || measure_recall(run, error));
    progress(run->parsed, "%s", "");
    return good;
}

/* ---- --scaling */

static int compare_sizes(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Sets the lengths in ascending order, without those beyond the model's learned positions. */
static bool set_contexts(const compare_run *run, scaling *s, pf_error *error) {
    uint64_t given[OPTIONS_MAX_LIST];
    const pf_model *model = run->loaded.model;
    size_t n = options_counts(run->parsed, FLAG_SCALING_CONTEXTS, given);
    for (size_t i = 0; i < n; i++)
        if (!model->position_embedding || given[i] <= model->context)
            s->contexts[s->n_contexts++] = (size_t)given[i];
    if (s->n_contexts < n)
        note(
            run->parsed,
            "performer: skipping %zu length%s: this model has learned positions for only %u tokens",
            n - s->n_contexts, n - s->n_contexts == 1 ? "" : "s", model->context);
    qsort(s->contexts, s->n_contexts, sizeof *s->contexts, compare_sizes);
    return s->n_contexts > 0 ||
           pf_fail(error, "no length is left to measure; give shorter --contexts");
}

static void show_scaling(void *context, const char *name, size_t tokens) {
    const compare_run *run = context;
    progress(run->parsed, "%s: %zu tokens", name, tokens);
}

/* Softmax against c->rows[first ... first + n - 1]. */
static bool measure_scaling(compare_run *run, size_t first, size_t n, double seconds, scaling *s,
                            pf_error *error) {
    *s = (scaling){.model = run->loaded.model,
                   .n_rows = n + 1,
                   .seconds = seconds,
                   .tell = show_scaling,
                   .context = run};
    s->rows = pf_calloc(n + 1, sizeof *s->rows, "the settings", error);
    if (!s->rows || !set_contexts(run, s, error)) return false;
    for (size_t i = 0; i <= n; i++) {
        const compared *from = &run->c.rows[i ? first + i - 1 : 0];
        snprintf(s->rows[i].name, sizeof s->rows[i].name, "%s", from->name);
        s->rows[i].options = from->options;
    }
    bool good = scaling_run(s, error);
    progress(run->parsed, "%s", "");
    return good;
}

static void print_scaling(const options *parsed, const scaling *s, output *out) {
    if (parsed->given[FLAG_JSON])
        output_json(out, scaling_json(s));
    else if (parsed->given[FLAG_CSV])
        scaling_print_csv(s, out);
    else
        scaling_print_table(s, out);
}

static bool compare_scaling(compare_run *run, output *out, pf_error *error) {
    if (!load_model(run->parsed, &run->loaded, error) || !make_rows(run, error)) return false;
    scaling s = {0};
    size_t n = run->names.all_texts ? run->c.n - 1 : 1; /* only the first of the defaults */
    terminal_catch_interrupt();
    bool good = measure_scaling(run, 1, n, (double)run->parsed->values[FLAG_SCALING_SECONDS].count,
                                &s, error);
    if (good) print_scaling(run->parsed, &s, out);
    pf_free(s.rows);
    return good;
}

/* ---- --html */

/* The setting whose attention the report draws: the first with random features, else the first. */
static size_t row_to_show(const comparison *c) {
    for (size_t r = 1; r < c->n; r++)
        if (c->rows[r].options.attention.kind == PF_ATTENTION_FAVOR) return r;
    return 1;
}

/* Measures what only the report shows, and writes it. */
static bool write_report(compare_run *run, pf_error *error) {
    const comparison *c = &run->c;
    scaling s = {0};
    qkv_rows drawn = {0}, measured = {0};
    feature_error errors;
    report r = {.c = c, .names = &run->names, .shown = row_to_show(c)};
    if (run->recall.scores) r.recall = &run->recall;
    size_t heads = (size_t)c->model->n_layers * c->model->n_heads,
           drawn_tokens = heads > 128 ? 48 : 64;
    const pf_tokens *text = &run->texts.texts[0];
    for (size_t i = 1; text->count < 2; i++) text = &run->texts.texts[i];
    size_t n = text->count < MEASURED_TOKENS ? text->count : MEASURED_TOKENS;
    const pf_session_options *softmax = &c->rows[0].options, *other = &c->rows[r.shown].options;
    bool limited = run->parsed->given[FLAG_SCALING_SECONDS];
    double seconds =
        limited ? (double)run->parsed->values[FLAG_SCALING_SECONDS].count : REPORT_SECONDS;
    progress(run->parsed, "%s", "measuring for the report");
    bool good = qkv_rows_read(&drawn, c->model, softmax, text->ids,
                              n < drawn_tokens ? n : drawn_tokens, error) &&
                qkv_rows_read(&measured, c->model, softmax, text->ids, n, error) &&
                feature_error_measure(&errors, &measured, softmax, other, error) &&
                measure_scaling(run, r.shown, 1, seconds, &s, error);
    r.rows = &drawn;
    r.errors = &errors;
    r.scaling = &s;
    good = good && report_write(&r, run->parsed->values[FLAG_HTML].text, error);
    progress(run->parsed, "%s", "");
    qkv_rows_free(&drawn);
    qkv_rows_free(&measured);
    pf_free(s.rows);
    return good;
}

static void print(const compare_run *run, output *out) {
    const recall *r = run->recall.scores ? &run->recall : NULL;
    if (run->parsed->given[FLAG_JSON]) {
        json_t *json = compare_json(&run->c, &run->names);
        if (json && r && !recall_add_json(r, json)) {
            json_decref(json);
            json = NULL;
        }
        output_json(out, json);
    } else if (run->parsed->given[FLAG_CSV]) {
        compare_print_csv(&run->c, out);
        if (r) recall_print_csv(r, out);
    } else {
        compare_print_table(&run->c, &run->names, out);
        if (r) recall_print_table(r, out);
    }
}

/* A bad setting is a usage error, reported before anything is loaded. */
static bool settings_are_sound(const options *parsed) {
    const char *given[OPTIONS_MAX_REPEATS];
    size_t n = options_repeats(parsed, FLAG_AGAINST, given);
    for (size_t i = 0; i < n; i++) {
        options changed = *parsed;
        char pieces[SETTING_SIZE];
        pf_error error = {0};
        if (!parse_setting(given[i], &changed, pieces, &error)) {
            complain_usage("compare", "%s", error.message);
            return false;
        }
    }
    return true;
}

static int run_compare(const options *parsed) {
    if (!settings_are_sound(parsed)) return EXIT_USAGE;
    bool named = text_sources(parsed) > 0 || parsed->given[FLAG_SPLIT];
    if (named && !one_text_is_named(parsed, "compare")) return EXIT_USAGE;
    compare_run run = {.parsed = parsed};
    output out = {0};
    pf_error error = {0};
    bool good;
    if (parsed->given[FLAG_SCALING]) {
        good = compare_scaling(&run, &out, &error);
    } else {
        good = compare(&run, &error);
        if (good) print(&run, &out);
        if (good && parsed->given[FLAG_HTML]) good = write_report(&run, &error);
    }
    int status = good ? output_finish(&out) : complain(&error);
    if (good && parsed->given[FLAG_SCALING] && terminal_interrupted())
        status = note_partly(parsed, status);
    recall_free(&run.recall);
    recall_setup_free(&run.setup);
    comparison_free(&run.c);
    pf_free(run.c.rows);
    input_texts_free(&run.texts);
    pf_loaded_close(&run.reference);
    pf_loaded_close(&run.loaded);
    return status;
}

const command command_compare = {
    .name = "compare",
    .bit = FOR_COMPARE,
    .usage = "MODEL [-p TEXT] [--against SETTING ...] [options]",
    .summary = "compare one model under several attentions, in numbers",
    .manual =
        "Reads the same text under exact softmax and under every setting, and shows how far each "
        "is from softmax: perplexity; the Kullback-Leibler divergence of its predictions from "
        "softmax's (mean, nats per token); how often the most probable token agrees, and how many "
        "of the five most probable; the bytes of state per session; and the time per token, for "
        "reading (with all logits) and for writing. It also shows how the error of attention and "
        "of the residual stream grows from layer to layer, how large queries and keys are (Z), and "
        "the text that each setting writes, next to softmax's. Without a text (-p, --file, "
        "--tokens, or standard input from a pipe or file) it reads the shipped sample.txt.\n\n"
        "Without --against it compares Performer attention as the checkpoint has it, with 256 "
        "features, and with a window; the window alone; `mean`, which gives every token the same "
        "weight; and the other feature maps. Unless you give --context, softmax gets exactly the "
        "context that the text needs, even beyond the trained one if positions are rotary.\n\n"
        "--recall also measures how far back each setting remembers: perplexity does not show it. "
        "By default it measures the checkpoint's own Performer attention. The recall radius is the "
        "largest distance up to which a setting keeps at least 90 % of what softmax has.",
    .examples = "performer compare models/weights/tales-softmax.gguf\n"
                "performer compare calibrated.gguf --file book.txt --recall 128,512\n"
                "performer compare models/weights/tales-favor.gguf --html report.html\n"
                "performer compare models/weights/tales-favor.gguf --scaling\n"
                "performer compare model.gguf -p \"Once upon a time\" --against "
                "\"favor,features=256\" --against \"local,window=32,sinks=1\"\n",
    .run = run_compare,
};
