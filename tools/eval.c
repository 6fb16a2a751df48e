/* floor 5.5 - eval: how well a model predicts a text, as mean loss in nats per predicted token. */
#include "commands.h"
#include "evaluate.h"
#include "given_texts.h"
#include "open_model.h"
#include "resources.h"
#include "session_flags.h"
#include "terminal.h"

#include <math.h>
#include <string.h>

typedef struct evaluation_run {
    const options *parsed;
    pf_loaded loaded;
    pf_session *session;
    input_texts texts;
    size_t n_tokens, longest;
    pf_writer *logits_file;
    evaluation result;
    double seconds;
} evaluation_run;

static bool read_texts(evaluation_run *e, pf_error *error) {
    if (!read_given_texts(e->parsed, &e->loaded, &e->texts, error)) return false;
    size_t longest = 0;
    for (size_t i = 0; i < e->texts.count; i++) {
        size_t count = e->texts.texts[i].count;
        e->n_tokens += count;
        if (count > longest) longest = count;
    }
    if (longest < 2 && !e->parsed->given[FLAG_LOGITS])
        return pf_fail(error,
                       "there is nothing to predict: the first token of a text is not "
                       "predicted, so the text needs at least two tokens, not %zu",
                       longest);
    /* The last token predicts nothing, so it is read for --logits only. */
    size_t needed = e->parsed->given[FLAG_LOGITS] ? longest : longest - 1;
    e->longest = longest;
    if (needed > pf_session_room(e->session)) return fail_no_room(e->session, longest, error);
    const pf_session_options *session = pf_session_get_options(e->session);
    warn_of_favor(e->parsed, e->loaded.model, session);
    warn_beyond_training(e->parsed, e->loaded.model, session, longest);
    return true;
}

/* For --stabilizer text, every head must see all keys of a text before its first query, so the text
 * becomes one chunk. */
static bool noncausal_stabilizer(evaluation_run *e, pf_error *error) {
    if (strcmp(e->parsed->values[FLAG_STABILIZER].text, "text") != 0) return true;
    pf_session_options session = *pf_session_get_options(e->session);
    session.attention.noncausal_stabilizer = true;
    session.chunk = e->longest;
    pf_session_free(e->session);
    e->session = pf_session_new(e->loaded.model, &session, error);
    if (session.attention.kind != PF_ATTENTION_FAVOR || session.attention.epsilon == 0)
        note(e->parsed, "performer: --stabilizer text has no effect without favor attention and an "
                        "epsilon, because the stabiliser cancels out");
    return e->session != NULL;
}

static bool open_all(evaluation_run *e, pf_error *error) {
    pf_session_options session;
    if (!load_model(e->parsed, &e->loaded, error) ||
        !session_options_from(e->parsed, e->loaded.model, &session, error))
        return false;
    e->session = pf_session_new(e->loaded.model, &session, error);
    return e->session != NULL;
}

static void show_progress(void *context, size_t done) {
    const evaluation_run *e = context;
    progress(e->parsed, "%zu of %zu tokens", done, e->n_tokens);
}

static bool evaluate_all(evaluation_run *e, pf_error *error) {
    evaluation_options settings = {
        .n_threads = pf_session_get_options(e->session)->n_threads,
        .chunk =
            pf_session_get_options(e->session)->attention.noncausal_stabilizer ? e->longest : 0,
        .bucket = e->parsed->given[FLAG_BUCKET] ? (size_t)e->parsed->values[FLAG_BUCKET].count : 0,
        .progress = show_progress,
        .context = e,
    };
    if (e->parsed->given[FLAG_LOGITS]) {
        e->logits_file = pf_writer_open(e->parsed->values[FLAG_LOGITS].text, error);
        if (!e->logits_file) return false;
        settings.logits = e->logits_file;
    }
    terminal_catch_interrupt();
    double start = seconds_now();
    if (!evaluate(e->session, &e->texts, &settings, &e->result, error)) return false;
    e->seconds = seconds_now() - start;
    progress(e->parsed, "%s", "");
    if (!e->logits_file) return true;
    pf_writer *file = e->logits_file;
    e->logits_file = NULL;
    if (e->result.interrupted) {
        note(e->parsed, "performer: interrupted, so %s is not written",
             e->parsed->values[FLAG_LOGITS].text);
        pf_writer_abort(file);
        return true;
    }
    return pf_writer_commit(file, error);
}

static double loss_of(const evaluation_bucket *bucket) {
    return bucket->nll / (double)bucket->predicted;
}

static json_t *json_loss(double loss) { return isfinite(loss) ? json_real(loss) : json_null(); }

static json_t *buckets_json(const evaluation_run *e) {
    json_t *buckets = json_array();
    size_t width = e->result.bucket;
    for (size_t i = 0; i < e->result.n_buckets; i++) {
        const evaluation_bucket *bucket = &e->result.buckets[i];
        if (!bucket->predicted) continue;
        json_array_append_new(buckets, json_pack("{s:I, s:I, s:o, s:I}", "from",
                                                 (json_int_t)i * (json_int_t)width, "to",
                                                 (json_int_t)(i + 1) * (json_int_t)width, "loss",
                                                 json_loss(loss_of(bucket)), "predicted",
                                                 (json_int_t)bucket->predicted));
    }
    return buckets;
}

static void print_json(const evaluation_run *e, output *out) {
    double loss = loss_of(&e->result.total);
    pf_session_stats stats = pf_session_get_stats(e->session);
    const pf_session_options *session = pf_session_get_options(e->session);
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:o, s:o, s:s, s:f, s:I, s:I}", "tokens", (json_int_t)e->result.tokens,
        "predicted", (json_int_t)e->result.total.predicted, "texts", (json_int_t)e->texts.count,
        "loss", json_loss(loss), "perplexity", json_loss(exp(loss)), "attention",
        pf_attention_name(session->attention.kind), "seconds", e->seconds, "state_bytes",
        (json_int_t)pf_session_state_bytes(e->session), "bad_denominators",
        (json_int_t)stats.bad_denominators);
    if (e->result.bucket) json_object_set_new(json, "buckets", buckets_json(e));
    output_json(out, json);
}

static void print_text(const evaluation_run *e, output *out) {
    const pf_session_options *session = pf_session_get_options(e->session);
    double loss = loss_of(&e->result.total);
    output_printf(out, "tokens      %zu", e->result.tokens);
    if (e->texts.count > 1) output_printf(out, " in %zu texts", e->texts.count);
    output_printf(out, "\n");
    if (e->result.total.predicted) {
        output_printf(out, "loss        %.6f nats per predicted token\n", loss);
        output_printf(out, "perplexity  %.4f\n", exp(loss));
    }
    output_printf(out, "attention   %s\n", pf_attention_name(session->attention.kind));
    output_printf(out, "seconds     %.3f\n", e->seconds);
    for (size_t i = 0; i < e->result.n_buckets; i++) {
        const evaluation_bucket *bucket = &e->result.buckets[i];
        if (bucket->predicted)
            output_printf(out, "positions %6zu to %6zu  loss %.6f\n", i * e->result.bucket,
                          (i + 1) * e->result.bucket, loss_of(bucket));
    }
}

static bool eval(evaluation_run *e, pf_error *error) {
    return open_all(e, error) && read_texts(e, error) && noncausal_stabilizer(e, error) &&
           evaluate_all(e, error);
}

static int run(const options *parsed) {
    if (!one_text_is_named(parsed, "eval")) return EXIT_USAGE;
    evaluation_run e = {.parsed = parsed};
    output out = {0};
    pf_error error = {0};
    int status;
    if (eval(&e, &error)) {
        if (e.result.interrupted)
            note(parsed, "performer: interrupted after %zu of %zu tokens", e.result.tokens,
                 e.n_tokens);
        if (parsed->given[FLAG_JSON])
            print_json(&e, &out);
        else
            print_text(&e, &out);
        pf_session_stats stats = pf_session_get_stats(e.session);
        if (stats.bad_denominators)
            note(parsed,
                 "performer: warning: the denominator of %llu attention rows was not positive",
                 (unsigned long long)stats.bad_denominators);
        status = output_finish(&out);
        if (status == EXIT_DONE && e.result.interrupted) status = EXIT_INTERRUPTED;
    } else {
        progress(parsed, "%s", "");
        status = complain(&error);
    }
    pf_writer_abort(e.logits_file);
    evaluation_free(&e.result);
    input_texts_free(&e.texts);
    pf_session_free(e.session);
    pf_loaded_close(&e.loaded);
    return status;
}

const command command_eval = {
    .name = "eval",
    .bit = FOR_EVAL,
    .usage = "MODEL [-p TEXT | --file FILE | --tokens FILE] [options]",
    .summary = "measure the loss and perplexity of a text",
    .manual =
        "Reads a text (-p, --file, --tokens, or standard input from a pipe or file) and reports "
        "how well the model predicts it: the loss, which is the mean of "
        "-ln p (in nats) over all tokens but the first of each text, and the perplexity, "
        "exp(loss). Sums are in double precision.\n\n"
        "Under softmax attention the text must fit into the context (--context); Performer and "
        "local attention have no limit. --bucket shows the loss by position, so that you can see "
        "whether it holds up in long texts. After Ctrl-C the figures are those of the tokens read "
        "so far, and the exit status is 130.",
    .examples = "performer eval models/weights/tales-favor.gguf --file story.txt\n"
                "performer eval model.gguf --tokens ids.txt --logits out.f32 --json",
    .run = run,
};
