/* floor 5.8 - explain: one token through one head of a model, step by step, with real numbers. */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "estimate.h"
#include "explain_page.h"
#include "explain_steps.h"
#include "explain_why.h"
#include "given_texts.h"
#include "session_flags.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char shipped_prompt[] =
    "Once upon a time, there was a little girl named Mia. She was very";

typedef struct explanation {
    const options *parsed;
    pf_loaded loaded;
    input_texts texts;
    explain_run run;
    explain_why why;
    estimate estimate;
} explanation;

static bool read_text(explanation *e, pf_error *error) {
    const options *parsed = e->parsed;
    bool given = parsed->given[FLAG_TEXT_ARGUMENT] || parsed->given[FLAG_TEXT_FILE] ||
                 parsed->given[FLAG_TOKENS_FILE];
    if (given ? !read_given_texts(parsed, &e->loaded, &e->texts, error)
              : !add_encoded_text(&e->loaded, parsed->model, shipped_prompt,
                                  sizeof shipped_prompt - 1, &e->texts, error))
        return false;
    return e->texts.count > 0 ||
           pf_fail(error, "%s contains no text", parsed->values[FLAG_TOKENS_FILE].text);
}

/* The checkpoint's own attention is followed, unless --to says otherwise. */
static bool settle(const explanation *e, explain_settings *settings, pf_error *error) {
    const options *parsed = e->parsed;
    const pf_model *model = e->loaded.model;
    pf_session_options session;
    if (!session_options_from(parsed, model, &session, error)) return false;
    size_t T = e->texts.texts[0].count;
    if (model->position != PF_POSITION_LEARNED && session.context < T) session.context = T;
    if (session.chunk > T) session.chunk = T ? T : 1; /* no more memory than this text needs */
    settings->layer = (uint32_t)parsed->values[FLAG_LAYER].count;
    settings->head = (uint32_t)parsed->values[FLAG_HEAD].count;
    settings->softmax = settings->favor = session;
    settings->softmax.attention.kind = PF_ATTENTION_SOFTMAX;
    settings->favor.attention.kind = PF_ATTENTION_FAVOR;
    settings->favor.attention.redraw = PF_REDRAW_NEVER;
    settings->favor_leads = model->attention.kind == PF_ATTENTION_FAVOR;
    if (parsed->given[FLAG_TO])
        settings->favor_leads = strcmp(parsed->values[FLAG_TO].text, "favor") == 0;
    return true;
}

static bool explain(explanation *e, pf_error *error) {
    explain_settings settings;
    if (!pf_loaded_open(e->parsed->model, &e->loaded, error) || !read_text(e, error) ||
        !settle(e, &settings, error))
        return false;
    terminal_catch_interrupt();
    const pf_tokens *text = &e->texts.texts[0];
    if (!explain_run_new(&e->run, &e->loaded, text->ids, text->count, &settings, error))
        return false;
    if (e->parsed->given[FLAG_EXPLAIN_HTML]) {
        const char *path = e->parsed->values[FLAG_EXPLAIN_HTML].text;
        if (!explain_page_write(&e->run, e->parsed->model, path, error)) return false;
        note(e->parsed, "%s is written; open it in a browser", path);
        if (!e->parsed->given[FLAG_JSON]) return true; /* the lessons are not needed */
    }
    if (!e->parsed->given[FLAG_ESTIMATE]) return explain_why_measure(&e->why, &e->run, error);
    size_t draws = (size_t)e->parsed->values[FLAG_DRAWS].count;
    return estimate_measure(&e->estimate, &e->run, draws, error);
}

static void print_text(const explanation *e, output *out) {
    const explain_run *run = &e->run;
    char token[TOKEN_SIZE];
    text_page p = {.out = out,
                   .pauses =
                       e->parsed->given[FLAG_STEP] && output_is_terminal() && isatty(STDIN_FILENO)};
    text_page_paragraph(
        &p, "%s: family %s, %u layers, %u heads. Token %zu, %s, in layer %u, head %u.",
        e->parsed->model, run->model->family, run->model->n_layers, run->model->n_heads, run->last,
        token_cell(run->loaded->tokenizer, run->ids[run->last], -32, token), run->settings.layer,
        run->settings.head);
    if (e->parsed->given[FLAG_ESTIMATE]) {
        estimate_print(&e->estimate, run, &p);
        return;
    }
    explain_steps_print(run, &p);
    explain_why_print(&e->why, run, &p);
}

static void print_json(const explanation *e, output *out) {
    json_t *json = explain_run_json(&e->run);
    json_object_set_new(json, "model", json_text(e->parsed->model, strlen(e->parsed->model)));
    if (e->parsed->given[FLAG_ESTIMATE])
        json_object_set_new(json, "estimate", estimate_json(&e->estimate, &e->run));
    else
        json_object_set_new(json, "lessons", explain_why_json(&e->why, &e->run));
    output_json(out, json);
}

static int run_explain(const options *parsed) {
    int sources = parsed->given[FLAG_TEXT_ARGUMENT] + parsed->given[FLAG_TEXT_FILE] +
                  parsed->given[FLAG_TOKENS_FILE];
    if (sources > 1 && !one_text_is_named(parsed, "explain")) return EXIT_USAGE;
    explanation e = {.parsed = parsed};
    output out = {0};
    pf_error error = {0};
    int status;
    if (explain(&e, &error)) {
        warn_beyond_training(parsed, e.loaded.model, &e.run.settings.softmax, e.run.T);
        if (parsed->given[FLAG_JSON])
            print_json(&e, &out);
        else if (!parsed->given[FLAG_EXPLAIN_HTML])
            print_text(&e, &out);
        status = output_finish(&out);
    } else {
        status = complain(&error);
    }
    estimate_free(&e.estimate);
    explain_why_free(&e.why);
    explain_run_free(&e.run);
    input_texts_free(&e.texts);
    pf_loaded_close(&e.loaded);
    return status;
}

const command command_explain = {
    .name = "explain",
    .bit = FOR_EXPLAIN,
    .usage = "MODEL [-p TEXT] [--layer L] [--head H] [--html FILE] [options]",
    .summary = "one token through one head, step by step, with its real numbers",
    .manual =
        "Reads a short text (-p, --file, --tokens, or standard input from a pipe or file) and "
        "follows its last token through the model: tokens, embedding, norm, "
        "q, k and v, positions, then exact softmax attention and Performer attention side by side "
        "on the same numbers, and on through the MLP to the logits. Each step shows the formula, "
        "the shapes, the first few numbers, and the file and function that compute them. Four "
        "lessons follow: why a running maximum, why orthogonal projections, why positive features, "
        "and what it costs.\n\nWith --estimate, it checks instead that random features are right "
        "on average: it compares the mean of phi(q).phi(k) over many draws with e^(q.k/sqrt(D)), "
        "and Performer attention with linear attention by elu(x) + 1.\n\nWith --html, it writes a "
        "page for a browser instead: attention maps of every layer and head, softmax beside "
        "Performer; what each token takes from the others; one token's features, S and z as the "
        "text is read; and sliders for M, the seed, the map, window and sinks, which recompute the "
        "chosen head in the page.\n\nAll numbers come from "
        "running sessions. docs/course is a course built around this command.",
    .examples = "performer explain models/weights/tales-favor.gguf --step\n"
                "performer explain models/weights/tales-softmax.gguf -p \"The cat sat on the\" "
                "--layer 2 --head 1 --to favor\n"
                "performer explain models/weights/tales-favor.gguf --estimate --draws 10000\n"
                "performer explain models/weights/tales-favor.gguf --html page.html\n",
    .run = run_explain,
};
