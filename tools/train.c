/* floor 5.6 - train: a Performer, or its softmax twin, from a text file. */
#define _POSIX_C_SOURCE 200809L
#include "checksum.h"
#include "commands.h"
#include "distilled_write.h"
#include "evaluate.h"
#include "gguf_write.h"
#include "memory.h"
#include "outputs.h"
#include "resources.h"
#include "terminal.h"
#include "trained_write.h"
#include "training_curves_print.h"
#include "training_model.h"
#include "training_state.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* Held-out blocks that are measured on the way, evenly spread (distilling: fewer, since models are
 * larger); the state is saved not more often than this. */
enum { MOST_HELD = 128, MOST_HELD_DISTILLING = 8, SAVE_SECONDS = 30 };

typedef struct train_run {
    const options *parsed;
    pf_loaded loaded;
    training_texts texts;
    pf_train_options settings;
    pf_trainer *trainer;
    pf_training_curves curves;
    char text[1024];        /* the settings, for the state */
    char state_path[4096];  /* "": what is written is no file, so there is no state */
    size_t first_step;      /* 0, or where --resume goes on */
    double start, training; /* when it began; seconds in steps */
    double smoothed;        /* loss */
    double saved_at;
    bool saved, stopped;
    output out;
} train_run;

/* ---- settings ---- */

static double number_or(const options *parsed, flag_id id, double otherwise) {
    return parsed->given[id] ? parsed->values[id].number : otherwise;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t count_or(const options *parsed, flag_id id, size_t otherwise) {
    return parsed->given[id] ? (size_t)parsed->values[id].count : otherwise;
}

static bool read_settings(train_run *r, pf_error *error) {
    const option_value *values = r->parsed->values;
    bool from = r->parsed->given[FLAG_FROM], distill = r->parsed->given[FLAG_DISTILL];
    pf_train_options *o = &r->settings;
    if (!training_attention(r->parsed, r->loaded.model, &o->attention, error)) return false;
    bool redraws = o->attention.kind == PF_ATTENTION_FAVOR && o->attention.map != PF_MAP_ELU &&
                   o->attention.map != PF_MAP_NORMALIZED;
    uint64_t redraw = 0;
    if (strcmp(values[FLAG_TRAIN_REDRAW].text, "never") != 0)
        parse_count(values[FLAG_TRAIN_REDRAW].text, &redraw);
    o->redraw = redraws ? (size_t)redraw : 0;
    o->rank = distill ? (size_t)values[FLAG_RANK].count : 0;
    o->steps = count_or(r->parsed, FLAG_TRAIN_STEPS, distill ? 150 : 1000);
    o->warm_up = smaller((size_t)values[FLAG_WARM_UP].count, o->steps / 10);
    o->batch = count_or(r->parsed, FLAG_BATCH, distill ? 2 : 16);
    o->accumulate = (size_t)values[FLAG_ACCUMULATE].count;
    o->tokens = r->loaded.model->context;
    if (from) o->tokens = smaller(o->tokens, 1024);
    if (r->parsed->given[FLAG_TRAIN_CONTEXT]) o->tokens = (size_t)values[FLAG_TRAIN_CONTEXT].count;
    o->rate = number_or(r->parsed, FLAG_LEARNING_RATE, distill ? 0.0015 : from ? 0.0002 : 0.002);
    o->adamw = (pf_adamw){.beta1 = 0.9,
                          .beta2 = 0.95,
                          .decay = values[FLAG_WEIGHT_DECAY].number,
                          .clip = values[FLAG_CLIP].number};
    o->seed = values[FLAG_TRAIN_SEED].count;
    o->n_threads = pf_threads_default();
    if (r->parsed->given[FLAG_THREADS]) o->n_threads = (int)values[FLAG_THREADS].count;
    return true;
}

/* All that decides the numbers, one setting per line. */
static void name_settings(train_run *r) {
    const pf_model *m = r->loaded.model;
    const pf_train_options *o = &r->settings;
    const pf_tokens *ids = &r->texts.train;
    bool favor = o->attention.kind == PF_ATTENTION_FAVOR;
    snprintf(r->text, sizeof r->text,
             "layers %u\nwidth %u\nheads %u\nkv-heads %u\nhidden %u\nvocabulary %u\ncontext %zu\n"
             "attention %s\nmap %s\nfeatures %u\nprojection %s\nwindow %u\nsinks "
             "%u\nattention-seed %llu\n"
             "redraw %zu\nrank %zu\n"
             "steps %zu\nwarm-up %zu\nbatch %zu\naccumulate %zu\nlr %.9g\nweight-decay %.9g\n"
             "clip %.9g\nseed %llu\ntext of %zu tokens, checksum %016llx\n",
             m->n_layers, m->width, m->n_heads, m->n_kv_heads, m->hidden, m->n_vocab, o->tokens,
             pf_attention_name(o->attention.kind), favor ? pf_map_name(o->attention.map) : "none",
             favor ? o->attention.features : 0, pf_projection_name(o->attention.projection),
             o->attention.window, o->attention.sinks, (unsigned long long)o->attention.seed,
             o->redraw, o->rank, o->steps, o->warm_up, o->batch, o->accumulate, o->rate,
             o->adamw.decay, o->adamw.clip, (unsigned long long)o->seed, ids->count,
             (unsigned long long)pf_checksum(0, ids->ids, ids->count * sizeof *ids->ids));
}

/* OUTPUT.train, or what --resume names: MODEL.gguf or MODEL.gguf.train. */
static bool name_state(train_run *r, pf_error *error) {
    const char *product = r->parsed->values[FLAG_OUTPUT].text;
    const char *path = r->parsed->model ? r->parsed->model : product;
    struct stat status;
    size_t n = strlen(path);
    bool is_state = n > 6 && strcmp(path + n - 6, ".train") == 0;
    if (stat(product, &status) == 0 && !S_ISREG(status.st_mode)) return true;
    if (n + 8 > sizeof r->state_path) return pf_fail(error, "the name of the output is too long");
    snprintf(r->state_path, sizeof r->state_path, "%s%s", path, is_state ? "" : ".train");
    return outputs_check_path(r->parsed, "the state of the run in", FILE_GGUF, r->state_path,
                              error);
}

/* ---- measuring ---- */

/* The mean loss over what is held out: all of it, or `most` blocks evenly spread. */
static bool measure(train_run *r, size_t most, double *loss, pf_error *error) {
    const input_texts *held = &r->texts.held;
    size_t n = smaller(held->count, most), batch = r->settings.batch;
    size_t length = r->settings.tokens + 1, predictions = 0;
    int32_t *ids = pf_calloc(batch * length, sizeof *ids, "a batch", error);
    double sum = 0;
    if (!ids) return false;
    for (size_t i = 0; i < n && !terminal_interrupted();) {
        size_t count = held->texts[i * held->count / n].count, rows = 0;
        for (; rows < batch && i < n; rows++, i++) {
            const pf_tokens *block = &held->texts[i * held->count / n];
            if (block->count != count) break;
            memcpy(ids + rows * count, block->ids, count * sizeof *ids);
        }
        sum += pf_trainer_losses(r->trainer, ids, rows, count);
        predictions += rows * (count - 1);
    }
    pf_free(ids);
    *loss = sum / (double)predictions;
    return true;
}

static pf_training_held *last_held(const train_run *r) {
    return &r->curves.held[r->curves.n_held - 1];
}

static pf_checkpoint *to_checkpoint(train_run *r, pf_error *error) {
    if (r->settings.rank > 0)
        return pf_distilled_to_checkpoint(r->trainer, r->loaded.checkpoint,
                                          !r->parsed->given[FLAG_SAVE_LORA], error);
    return pf_trained_to_checkpoint(r->trainer, r->loaded.model, &r->settings.attention,
                                    r->loaded.checkpoint, error);
}

/* The same with the other attention in place, as the engine computes it. */
static bool measure_other(train_run *r, size_t most, double *loss, pf_error *error) {
    const input_texts *held = &r->texts.held;
    size_t n = smaller(held->count, most);
    pf_loaded now = {0};
    input_texts chosen = {.texts = pf_calloc(n, sizeof(pf_tokens), "the texts", error), .count = n};
    pf_session *session = NULL;
    evaluation result = {0};
    for (size_t i = 0; chosen.texts && i < n; i++)
        chosen.texts[i] = held->texts[i * held->count / n]; /* borrowed */
    pf_checkpoint *c = chosen.texts ? to_checkpoint(r, error) : NULL;
    bool good = c && pf_loaded_bind(c, &now, error);
    if (good) {
        pf_session_options o = pf_session_options_default(now.model);
        o.attention = pf_attention_options_default();
        if (r->settings.attention.kind == PF_ATTENTION_SOFTMAX)
            o.attention.kind = PF_ATTENTION_FAVOR;
        o.context = r->settings.tokens + 1;
        o.n_threads = r->settings.n_threads;
        evaluation_options how = {.n_threads = o.n_threads};
        session = pf_session_new(now.model, &o, error);
        good = session && evaluate(session, &chosen, &how, &result, error);
        if (good) *loss = result.total.nll / (double)result.total.predicted;
    }
    evaluation_free(&result);
    pf_session_free(session);
    pf_loaded_close(&now);
    pf_free(chosen.texts);
    return good;
}

static bool measure_held(train_run *r, pf_error *error) {
    size_t step = pf_trainer_state(r->trainer)->step;
    size_t most = r->settings.rank > 0 ? MOST_HELD_DISTILLING : MOST_HELD;
    if (r->parsed->given[FLAG_VALIDATION]) most = SIZE_MAX;
    double loss, other = NAN;
    if (r->texts.held.count == 0) return true;
    if (r->curves.n_held > 0 && last_held(r)->step == step) return true;
    if (!measure(r, most, &loss, error) ||
        (r->parsed->given[FLAG_BOTH_ATTENTIONS] && !measure_other(r, most, &other, error)))
        return false;
    return terminal_interrupted() ||
           pf_training_curves_add_held(&r->curves, step, loss, other, error);
}

/* ---- writing ---- */

static bool write_model(train_run *r, pf_error *error) {
    const options *parsed = r->parsed;
    pf_gguf_options gguf = {.convert = parsed->given[FLAG_CONVERT_TYPE]};
    if (gguf.convert) pf_type_parse(parsed->values[FLAG_CONVERT_TYPE].text, &gguf.type);
    pf_checkpoint *c = to_checkpoint(r, error);
    bool good = c && pf_gguf_write(c, parsed->values[FLAG_OUTPUT].text, &gguf, error);
    pf_checkpoint_free(c);
    return good &&
           (!parsed->given[FLAG_SAVE_LORA] ||
            pf_distilled_write_adapter(r->trainer, parsed->values[FLAG_SAVE_LORA].text, error));
}

static bool write_curves(const train_run *r, pf_error *error) {
    const options *parsed = r->parsed;
    const char *title = parsed->values[FLAG_OUTPUT].text;
    return (!parsed->given[FLAG_TRAIN_CSV] ||
            training_curves_csv(&r->curves, parsed->values[FLAG_TRAIN_CSV].text, error)) &&
           (!parsed->given[FLAG_TRAIN_SVG] ||
            training_curves_svg(&r->curves, title, parsed->values[FLAG_TRAIN_SVG].text, error));
}

/* The model so far, and what --resume needs. */
static bool save(train_run *r, pf_error *error) {
    if (!write_model(r, error)) return false;
    if (*r->state_path &&
        !pf_training_state_write(r->state_path, r->trainer, r->text, &r->curves, error))
        return false;
    r->saved = true;
    r->saved_at = seconds_now();
    return write_curves(r, error);
}

/* ---- the run ---- */

static double tokens_per_second(const train_run *r) {
    const pf_train_options *o = &r->settings;
    double steps = (double)(pf_trainer_state(r->trainer)->step - r->first_step);
    double tokens = steps * (double)(o->batch * o->accumulate * o->tokens);
    return r->training > 0 ? tokens / r->training : 0;
}

static void show_progress(train_run *r, double loss) {
    size_t step = pf_trainer_state(r->trainer)->step, steps = r->settings.steps;
    size_t done = step - r->first_step;
    double passed = seconds_now() - r->start;
    char held[32] = "";
    r->smoothed = done > 1 ? 0.9 * r->smoothed + 0.1 * loss : loss;
    if (r->curves.n_held > 0)
        snprintf(held, sizeof held, ", held out %.3f", (double)last_held(r)->loss);
    progress_bar(r->parsed, (double)step / (double)steps,
                 "step %zu of %zu, loss %.3f%s, %.0f tokens/s, %.0f s left", step, steps,
                 r->smoothed, held, tokens_per_second(r),
                 passed * (double)(steps - step) / (double)done);
}

static bool out_of_time(const train_run *r) {
    return r->parsed->given[FLAG_TRAIN_SECONDS] &&
           seconds_now() - r->start >= (double)r->parsed->values[FLAG_TRAIN_SECONDS].count;
}

static bool fail_step(const train_run *r, pf_error *error) {
    return pf_fail(error, "%s%s%s", error->message,
                   r->saved ? "; the model as last saved is in " : "",
                   r->saved ? r->parsed->values[FLAG_OUTPUT].text : "");
}

static bool take_steps(train_run *r, pf_error *error) {
    const pf_train_state *state = pf_trainer_state(r->trainer);
    size_t every = count_or(r->parsed, FLAG_EVAL_EVERY, r->settings.rank > 0 ? 25 : 100);
    r->start = r->saved_at = seconds_now();
    while (state->step < r->settings.steps && !r->stopped) {
        pf_train_report report;
        double before = seconds_now();
        if (!pf_trainer_step(r->trainer, &report, error)) return fail_step(r, error);
        r->training += seconds_now() - before;
        if (!pf_training_curves_add(&r->curves, report.loss, error)) return false;
        show_progress(r, report.loss);
        r->stopped = terminal_interrupted() || out_of_time(r);
        if (state->step % every != 0 || r->stopped) continue;
        if (!measure_held(r, error)) return false;
        if (seconds_now() - r->saved_at > SAVE_SECONDS && !save(r, error)) return false;
    }
    return true;
}

/* What is left when all steps are done needs no state. */
static bool finish(train_run *r, pf_error *error) {
    bool done = pf_trainer_state(r->trainer)->step == r->settings.steps;
    if (!terminal_interrupted() && !measure_held(r, error)) return false;
    progress(r->parsed, "%s", "");
    if (!done) return save(r, error);
    if (!write_model(r, error) || !write_curves(r, error)) return false;
    if (*r->state_path) remove(r->state_path);
    return true;
}

static void tell_start(const train_run *r) {
    const pf_train_options *o = &r->settings;
    char size[16], features[96] = "";
    if (o->rank > 0)
        snprintf(features, sizeof features, " (as calibrated), an update of rank %zu", o->rank);
    else if (o->attention.kind == PF_ATTENTION_FAVOR && o->redraw > 0)
        snprintf(features, sizeof features, " (%s, %u features, drawn anew every %zu steps)",
                 pf_map_name(o->attention.map), o->attention.features, o->redraw);
    else if (o->attention.kind == PF_ATTENTION_FAVOR)
        snprintf(features, sizeof features, " (%s, %u features)", pf_map_name(o->attention.map),
                 o->attention.features);
    note(r->parsed,
         "%llu parameters, %s attention%s; %zu tokens to learn, %zu blocks held out; a step reads "
         "%zu tokens; needs %s of memory",
         (unsigned long long)pf_model_parameters(r->loaded.model),
         pf_attention_name(o->attention.kind), features, r->texts.train.count, r->texts.held.count,
         o->batch * o->accumulate * o->tokens,
         human_bytes(pf_trainer_bytes(r->loaded.model, o), size));
}

static bool begin(train_run *r, pf_error *error) {
    const pf_tokens *ids = &r->texts.train;
    tell_start(r);
    r->trainer = pf_trainer_new(r->loaded.model, &r->settings, ids->ids, ids->count, error);
    if (!r->trainer) return false;
    name_settings(r);
    if (r->parsed->given[FLAG_RESUME] &&
        !pf_training_state_read(r->state_path, r->trainer, r->text, &r->curves, error))
        return false;
    r->first_step = pf_trainer_state(r->trainer)->step;
    return true;
}

/* ---- report ---- */

static json_t *number_json(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static void report(train_run *r) {
    const options *parsed = r->parsed;
    const char *path = parsed->values[FLAG_OUTPUT].text;
    const pf_training_curves *c = &r->curves;
    size_t step = pf_trainer_state(r->trainer)->step;
    double held = c->n_held > 0 ? (double)last_held(r)->loss : NAN;
    double other = c->n_held > 0 ? (double)last_held(r)->other : NAN;
    double seconds = seconds_now() - r->start;
    if (parsed->given[FLAG_JSON]) {
        output_json(
            &r->out,
            json_pack("{s:o, s:I, s:o, s:o, s:o, s:f, s:s, s:I, s:f, s:b, s:I}", "output",
                      json_text(path, strlen(path)), "steps", (json_int_t)step, "validation_loss",
                      number_json(held), "other_loss", number_json(other), "train_loss",
                      number_json(r->smoothed), "tokens_per_second", tokens_per_second(r),
                      "attention", pf_attention_name(r->settings.attention.kind), "parameters",
                      (json_int_t)pf_model_parameters(r->loaded.model), "seconds", seconds,
                      "stopped", r->stopped, "peak_rss_bytes", (json_int_t)peak_rss_bytes()));
    } else {
        output_printf(&r->out, "steps            %zu\ntrain loss       %.6f\n", step, r->smoothed);
        if (!isnan(held)) output_printf(&r->out, "validation loss  %.6f\n", held);
        if (!isnan(other)) output_printf(&r->out, "other attention  %.6f\n", other);
        output_printf(&r->out, "tokens/s         %.0f\nseconds          %.1f\n",
                      tokens_per_second(r), seconds);
    }
    if (step < r->settings.steps)
        note(parsed, "performer: stopped after step %zu of %zu; %s is the model so far%s", step,
             r->settings.steps, path,
             *r->state_path ? "; the same command with --resume goes on" : "");
}

static int complain_of_usage(const options *parsed) {
    static const flag_id of_favor[] = {
        FLAG_FEATURES,       FLAG_MAP,    FLAG_PROJECTION, FLAG_TRAIN_REDRAW,
        FLAG_ATTENTION_SEED, FLAG_WINDOW, FLAG_SINKS};
    const char *attention = parsed->values[FLAG_TRAIN_ATTENTION].text;
    if (!parsed->given[FLAG_OUTPUT])
        return complain_usage("train", "no output is given; add -o FILE.gguf");
    if (!parsed->given[FLAG_TRAIN_FILE])
        return complain_usage("train", "no text is given; add --file TEXT, or use a pipe");
    if (parsed->model && !parsed->given[FLAG_RESUME])
        return complain_usage("train", "train makes a new model; to go on from %.200s, give --from",
                              parsed->model);
    if (parsed->given[FLAG_FROM] && !attention) return EXIT_DONE;
    for (size_t i = 0; i < sizeof of_favor / sizeof *of_favor; i++)
        if (parsed->given[of_favor[i]] && (!attention || strcmp(attention, "favor") != 0))
            return complain_usage("train",
                                  "--%s has no effect under softmax; add --attention favor",
                                  flags[of_favor[i]].name);
    return EXIT_DONE;
}

static int run(const options *parsed) {
    train_run r = {.parsed = parsed};
    pf_error error = {0};
    int usage = complain_of_usage(parsed);
    if (usage != EXIT_DONE) return usage;
    terminal_catch_interrupt();
    bool good = name_state(&r, &error) && training_texts_read(parsed, &r.texts, &error) &&
                training_model_open(parsed, &r.texts, &r.loaded, &error) &&
                read_settings(&r, &error) &&
                training_texts_encode(parsed, &r.loaded, r.settings.tokens, &r.texts, &error) &&
                begin(&r, &error) && take_steps(&r, &error) && finish(&r, &error);
    progress(parsed, "%s", "");
    bool interrupted = good && r.trainer && terminal_interrupted();
    if (good) report(&r);
    pf_trainer_free(r.trainer);
    pf_training_curves_free(&r.curves);
    training_texts_free(&r.texts);
    pf_loaded_close(&r.loaded);
    if (!good) return complain(&error);
    int status = output_finish(&r.out);
    return status == EXIT_DONE && interrupted ? EXIT_INTERRUPTED : status;
}

const command command_train = {
    .name = "train",
    .bit = FOR_TRAIN,
    .usage = "--file TEXT -o FILE.gguf [options]",
    .summary = "learn a model from a text, with either attention",
    .manual =
        "Trains a language model of llama's shape (RMS norms, RoPE, SwiGLU, tied embedding) from "
        "texts, on the CPU, and writes it as a GGUF file: under exact softmax, or under Performer "
        "attention, whose random features can be drawn anew all along, so that the weights do not "
        "learn one draw by heart. Without --tokenizer it learns a vocabulary from the texts first. "
        "With --from it goes on from a model you have.\n\n"
        "A step draws sequences from the texts at random, computes the gradient of their mean "
        "loss, and moves the weights by AdamW. The loss of what is held out is measured on the "
        "way: at most 128 blocks of it, evenly spread. The same options give the same model, on "
        "any number of threads.\n\n"
        "Ctrl-C stops after the current step. FILE.gguf is then the model so far, and "
        "FILE.gguf.train beside it holds what --resume needs to go on as if nothing had happened. "
        "A long run saves both twice a minute, whenever it has measured the held-out loss.",
    .examples =
        "performer train --file stories.txt -o softmax.gguf --steps 500\n"
        "performer train --file stories.txt --attention favor --steps 500 -o favor.gguf\n"
        "performer train --file stories.txt --attention favor --steps 500 -o favor.gguf --resume\n"
        "performer train --from model.gguf --file more.txt --steps 200 -o tuned.gguf --json",
    .run = run,
};
