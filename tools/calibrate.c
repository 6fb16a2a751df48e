/* floor 5.6 - calibrate: fits Performer attention to a softmax checkpoint. */
#include "calibration_recall_texts.h"
#include "calibration_texts.h"
#include "calibration_write.h"
#include "commands.h"
#include "gguf_write.h"
#include "kv_cache.h"
#include "memory.h"
#include "open_model.h"
#include "resources.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

enum { FEW = 4 }; /* mean windows, in all texts: too few to fit anything to */

typedef struct calibrate_run {
    const options *parsed;
    pf_loaded loaded;
    input_texts texts;
    calibration_recall_texts recall;
    pf_calibration_options settings;
    pf_calibration *calibration;
    size_t n_tokens;
    double start, seconds;
    uint64_t state_bytes;
    size_t state_tokens; /* the length of the text that has it; 0: of any */
    output out;
} calibrate_run;

/* ---- work ---- */

static bool show_progress(void *context, double done) {
    const calibrate_run *c = context;
    double passed = seconds_now() - c->start, left = done > 0 ? passed * (1 - done) / done : 0;
    progress_bar(c->parsed, done, "%.0f s left", left);
    return !terminal_interrupted();
}

static bool interrupted(void *context) {
    (void)context;
    return terminal_interrupted();
}

static void read_settings(calibrate_run *c) {
    const option_value *values = c->parsed->values;
    pf_calibration_options *o = &c->settings;
    *o = pf_calibration_options_default();
    o->window = (size_t)values[FLAG_MEAN_WINDOW].count;
    o->features = (size_t)values[FLAG_MEAN_FEATURES].count;
    o->sinks = (size_t)values[FLAG_KEPT_SINKS].count;
    o->state_bytes = values[FLAG_STATE_BYTES].count;
    o->budget = !c->parsed->given[FLAG_NO_BUDGET];
    o->same_features = c->parsed->given[FLAG_SAME_FEATURES];
    o->fit = !c->parsed->given[FLAG_NO_FIT];
    o->keep = strcmp(values[FLAG_KEEP].text, "recall") == 0 ? PF_KEEP_RECALL : PF_KEEP_CONSTANT;
    o->recall_loss = values[FLAG_RECALL_LOSS].number;
    pf_kv_parse(values[FLAG_BUDGET_KV].text, &o->kv);
    o->steps.steps = (size_t)values[FLAG_STEPS].count;
    o->steps.seed = values[FLAG_CALIBRATION_SEED].count;
    if (c->parsed->given[FLAG_THREADS]) o->steps.n_threads = (int)values[FLAG_THREADS].count;
    o->steps.stop = interrupted;
    o->progress = show_progress;
    o->context = c;
}

static bool gather_texts(calibrate_run *c, pf_error *error) {
    const options *parsed = c->parsed;
    if (parsed->given[FLAG_CALIBRATION_FILE] || parsed->given[FLAG_CALIBRATION_TOKENS])
        return read_calibration_texts(parsed, &c->loaded, &c->texts, error);
    note(parsed,
         "performer: no --file is given, so the model writes the text to calibrate on; real "
         "text works better");
    return write_calibration_texts(parsed, &c->loaded, &c->texts, error);
}

/* Texts that ask for something said long before, unless recall cannot be kept anyway. */
static bool gather_recall(calibrate_run *c, pf_error *error) {
    pf_calibration_options *o = &c->settings;
    size_t context = c->loaded.model->context;
    o->budget_tokens = context < o->budget_tokens ? context : o->budget_tokens;
    if (c->parsed->given[FLAG_BUDGET_CONTEXT])
        o->budget_tokens = (size_t)c->parsed->values[FLAG_BUDGET_CONTEXT].count;
    if (!pf_kv_check(o->kv, c->loaded.model->head_dim, error)) return false;
    if (!o->budget) return true;
    if (!calibration_recall_texts_make(&c->loaded, &c->texts, o->budget_tokens, o->steps.seed,
                                       &c->recall, error))
        return false;
    o->recall = c->recall.texts;
    o->n_recall = c->recall.n;
    return true;
}

/* What would make the result worse than it need be. */
static void warn_of_texts(const calibrate_run *c, size_t longest) {
    const pf_model *model = c->loaded.model;
    if (c->n_tokens < FEW * c->settings.window)
        note(c->parsed,
             "performer: warning: %zu tokens are little to calibrate on; give texts of several "
             "thousand",
             c->n_tokens);
    if (longest > pf_model_trained(model) && !model->position_embedding)
        note(c->parsed,
             "performer: warning: pieces of %zu tokens are longer than the %u this model was "
             "trained for, so what softmax makes of them, and is fitted here, may be poor; give a "
             "shorter --length",
             longest, pf_model_trained(model));
}

static bool calibrate(calibrate_run *c, pf_error *error) {
    pf_text_ids *texts = pf_calloc(c->texts.count, sizeof *texts, "the texts", error);
    if (!texts) return false;
    size_t longest = 0;
    for (size_t i = 0; i < c->texts.count; i++) {
        texts[i] = (pf_text_ids){c->texts.texts[i].ids, c->texts.texts[i].count};
        c->n_tokens += texts[i].n;
        if (texts[i].n > longest) longest = texts[i].n;
    }
    warn_of_texts(c, longest);
    progress(c->parsed, "reading %zu text%s", c->texts.count, plural(c->texts.count));
    c->start = seconds_now();
    c->calibration = pf_calibrate(c->loaded.model, texts, c->texts.count, &c->settings, error);
    c->seconds = seconds_now() - c->start;
    progress(c->parsed, "%s", "");
    pf_free(texts);
    return c->calibration != NULL;
}

/* Binds what is to be written the way its users will, and writes it. */
static bool write_result(calibrate_run *c, pf_error *error) {
    const char *path = c->parsed->values[FLAG_OUTPUT].text;
    pf_gguf_options as_it_is = {0};
    pf_loaded result = {0};
    pf_checkpoint *checkpoint =
        pf_calibration_to_checkpoint(c->calibration, c->loaded.model, c->loaded.checkpoint, error);
    if (!pf_loaded_bind(checkpoint, &result, error)) return false;
    pf_session_options session = pf_session_options_default(result.model);
    c->state_bytes = pf_state_bytes(result.model, &session);
    c->state_tokens = pf_state_bytes_per_token(result.model, &session) ? session.context : 0;
    bool good = pf_gguf_write(result.checkpoint, path, &as_it_is, error);
    pf_loaded_close(&result);
    return good;
}

/* ---- report ---- */

static json_t *head_json(const pf_calibrated_head *h) {
    return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "window",
                     (json_int_t)h->window, "features", (json_int_t)h->features, "z_before",
                     h->Z_before, "z_after", h->Z_after, "log_variance_before", h->variance_before,
                     "log_variance_after", h->variance_after, "share_outside", h->outside,
                     "error_same_window", h->error_same, "error_own_window", h->error_window,
                     "error_fitted", h->error_fitted);
}

static json_t *layers_json(const pf_calibration *c) {
    json_t *layers = json_array();
    for (uint32_t i = 0; i < c->n_layers; i++) {
        json_t *heads = json_array();
        for (uint32_t k = 0; k < c->n_kv_heads; k++)
            json_array_append_new(heads, head_json(&c->heads[i * c->n_kv_heads + k]));
        json_array_append_new(layers,
                              json_pack("{s:I, s:f, s:f, s:o}", "layer", (json_int_t)i,
                                        "error_window", c->layers[i].error_window, "error_fitted",
                                        c->layers[i].error_fitted, "heads", heads));
    }
    return layers;
}

static json_t *preset_json(const pf_calibrated_preset *preset) {
    json_t *radius = preset->window == PF_WINDOW_ALL ? json_string("all")
                                                     : json_integer((json_int_t)preset->window);
    return json_pack("{s:o, s:f, s:I, s:I}", "recall_radius", radius, "kl", preset->nats,
                     "state_bytes", (json_int_t)preset->constant, "state_bytes_per_token",
                     (json_int_t)preset->per_token);
}

/* null if recall was not looked at; a preset is null if the budget does not allow it. */
static json_t *recall_json(const calibrate_run *c) {
    const pf_calibrated_recall *recall = &c->calibration->recall;
    if (c->settings.n_recall == 0) return json_null();
    json_t *heads = json_array(), *presets[2];
    for (size_t i = 0; i < recall->n_heads; i++)
        json_array_append_new(
            heads, json_pack("[i, i]", (int)(recall->heads[i] / c->calibration->n_kv_heads),
                             (int)(recall->heads[i] % c->calibration->n_kv_heads)));
    for (size_t i = 0; i < 2; i++)
        presets[i] =
            recall->presets[i].constant > 0 ? preset_json(&recall->presets[i]) : json_null();
    return json_pack("{s:s, s:o, s:f, s:f, s:f, s:o, s:o}", "keep",
                     c->settings.keep == PF_KEEP_RECALL ? "recall" : "constant", "heads", heads,
                     "loss_exact", recall->exact, "loss_windows", recall->limited,
                     "loss_heads_free", recall->reached, "constant", presets[PF_KEEP_CONSTANT],
                     "recall", presets[PF_KEEP_RECALL]);
}

static void print_json(calibrate_run *c) {
    const pf_calibration *result = c->calibration;
    const char *path = c->parsed->values[FLAG_OUTPUT].text;
    output_json(&c->out,
                json_pack("{s:o, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:o, s:o}", "output",
                          json_text(path, strlen(path)), "map", pf_map_name(result->attention.map),
                          "texts", (json_int_t)c->texts.count, "tokens", (json_int_t)c->n_tokens,
                          "state_bytes", (json_int_t)c->state_bytes, "seconds", c->seconds,
                          "survey_seconds", result->seconds[0], "trial_seconds", result->seconds[1],
                          "fit_seconds", result->seconds[2], "peak_rss_bytes",
                          (json_int_t)peak_rss_bytes(), "recall", recall_json(c), "layers",
                          layers_json(result)));
}

/* One line per KV head. */
static void print_table(calibrate_run *c) {
    const pf_calibration *result = c->calibration;
    output_printf(&c->out, "%5s %4s %6s %8s %14s %16s %8s", "layer", "head", "window", "features",
                  "Z", "log variance", "outside");
    bool fitted = result->attention.map == PF_MAP_NORMALIZED;
    output_printf(&c->out, fitted ? " %28s\n" : "%s\n", fitted ? "error: same, own, fitted" : "");
    for (uint32_t i = 0; i < result->n_layers * result->n_kv_heads; i++) {
        const pf_calibrated_head *h = &result->heads[i];
        char window[24] = "all";
        if (h->window != PF_WINDOW_ALL) snprintf(window, sizeof window, "%zu", h->window);
        output_printf(&c->out, "%5u %4u %6s %8zu %6.1f > %5.1f %7.1f > %6.1f %6.1f %%",
                      i / result->n_kv_heads, i % result->n_kv_heads, window, h->features,
                      h->Z_before, h->Z_after, h->variance_before, h->variance_after,
                      100 * h->outside);
        if (fitted)
            output_printf(&c->out, "  %8.2e %8.2e %8.2e", h->error_same, h->error_window,
                          h->error_fitted);
        output_printf(&c->out, "\n");
    }
}

/* One line for a preset: what it remembers, what it costs now and at 8,192 tokens. */
static void tell_preset(const calibrate_run *c, pf_keep_kind keep) {
    const pf_calibrated_recall *recall = &c->calibration->recall;
    const pf_calibrated_preset *preset = &recall->presets[keep];
    const char *name = keep == PF_KEEP_RECALL ? "recall" : "constant";
    bool chosen = keep == c->settings.keep;
    char now[16], later[16], radius[64];
    if (preset->constant == 0) return; /* this budget does not allow it */
    if (preset->window == PF_WINDOW_ALL)
        snprintf(radius, sizeof radius, "the whole text");
    else if (preset->window > 0)
        snprintf(radius, sizeof radius, "about %u tokens back", preset->window);
    else
        snprintf(radius, sizeof radius, "only what is in the windows");
    note(c->parsed, "%s --keep %s: recalls %s; KL about %.3f%s; state %s, at 8192 tokens %s",
         chosen ? "chosen:" : "instead:", name, radius,
         chosen ? c->calibration->nats : preset->nats, chosen ? "" : " without tails",
         human_bytes(preset->constant, now),
         human_bytes(preset->constant + 8192 * preset->per_token, later));
}

static void tell_recall(const calibrate_run *c) {
    const pf_calibrated_recall *recall = &c->calibration->recall;
    char heads[200] = "";
    size_t used = 0;
    if (c->settings.n_recall == 0) {
        if (c->settings.keep == PF_KEEP_RECALL)
            note(c->parsed, "recall: the texts, or --context, are too short to ask over a "
                            "distance, so no head is kept exact");
        return;
    }
    if (recall->n_heads == 0) {
        note(c->parsed, "recall: no head of this model finds what was said long before%s",
             recall->limited > recall->exact ? ", beyond what windows do" : "");
        return;
    }
    for (size_t i = 0; i < recall->n_heads && used + 16 < sizeof heads; i++)
        used += (size_t)snprintf(heads + used, sizeof heads - used, " %u.%u",
                                 recall->heads[i] / c->calibration->n_kv_heads,
                                 recall->heads[i] % c->calibration->n_kv_heads);
    note(c->parsed,
         "recall: %zu of %u heads look far back (layer.head):%s; loss of an answer: exact %.3f, "
         "with windows alone %.3f, with these heads free %.3f",
         recall->n_heads, c->calibration->n_layers * c->calibration->n_kv_heads, heads,
         recall->exact, recall->limited, recall->reached);
    tell_preset(c, c->settings.keep);
    tell_preset(c, c->settings.keep == PF_KEEP_RECALL ? PF_KEEP_CONSTANT : PF_KEEP_RECALL);
}

static int run(const options *parsed) {
    if (!parsed->given[FLAG_OUTPUT])
        return complain_usage("calibrate", "no output is given; add -o FILE.gguf");
    if (parsed->given[FLAG_RECALL_LOSS] && strcmp(parsed->values[FLAG_KEEP].text, "recall") != 0)
        return complain_usage("calibrate", "--recall-loss has no effect without --keep recall");
    calibrate_run c = {.parsed = parsed};
    pf_error error = {0};
    char bytes[16];
    terminal_catch_interrupt();
    read_settings(&c);
    bool good = load_model(parsed, &c.loaded, &error) && gather_texts(&c, &error) &&
                gather_recall(&c, &error) && calibrate(&c, &error) && write_result(&c, &error);
    if (!good && terminal_interrupted())
        pf_fail(&error, "interrupted; %s is not written", parsed->values[FLAG_OUTPUT].text);
    if (good) {
        if (parsed->given[FLAG_JSON])
            print_json(&c);
        else
            print_table(&c);
        char tokens[48] = "";
        if (c.state_tokens) snprintf(tokens, sizeof tokens, " of %zu tokens", c.state_tokens);
        note(parsed, "%s: %zu text%s, %zu tokens, %.0f s; state of a text%s: %s",
             parsed->values[FLAG_OUTPUT].text, c.texts.count, plural(c.texts.count), c.n_tokens,
             c.seconds, tokens, human_bytes(c.state_bytes, bytes));
        tell_recall(&c);
    }
    pf_calibration_free(c.calibration);
    input_texts_free(&c.texts);
    calibration_recall_texts_free(&c.recall);
    pf_loaded_close(&c.loaded);
    return good ? output_finish(&c.out) : complain(&error);
}

const command command_calibrate = {
    .name = "calibrate",
    .bit = FOR_CALIBRATE,
    .usage = "MODEL --file TEXT -o FILE.gguf [options]",
    .summary = "fit constant-memory attention to a softmax checkpoint",
    .manual =
        "Fits Performer attention to a checkpoint's own queries and keys, layer by layer, and "
        "writes a GGUF file that runs under it by default. The model's weights do not change: "
        "other programs still read the file as the softmax model it was, and --attention softmax "
        "runs it as such.\n\n"
        "Each KV head gets a window of exact attention, and a number of features for everything "
        "older. Both are chosen under one budget for all heads. The features are fitted so that "
        "each layer's output stays close to that of exact attention. Calibrate on the kind of text "
        "that the model will read, several times longer than the window.\n\n"
        "The report gives the squared error of each head's output relative to the residual stream: "
        "with the mean window and no features, with the head's own window and no features, and "
        "with its own window and features.",
    .examples =
        "performer calibrate model.gguf --file book.txt -o calibrated.gguf\n"
        "performer calibrate model.gguf --file a.txt --file b.txt --state-bytes 4608000 -o "
        "calibrated.gguf --json\n"
        "performer calibrate model.gguf --file book.txt --no-fit --no-budget --window 32 -o "
        "unbiased.gguf",
    .run = run,
};
