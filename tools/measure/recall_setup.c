/* floor 5.4 - recall setup: the text, the chat template and the distances of recall texts. */
#include "recall_setup.h"

#include "chat_template.h"
#include "memory.h"
#include "recall_story.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

enum {
    PASSAGE = 128,        /* tokens, or an eighth of a short context */
    SHORT_CONTEXT = 1024, /* below it, measurements begin nearer */
    FARTHEST = 2048,      /* by default */
    AROUND = 512,         /* a case's tokens besides gap and lead, at most about so many */
    STORY_BYTES = 9,      /* per token, at least what tokens of the story are long */
};
static const char place[] = "PLACEHOLDER"; /* of a user's text in a rendered chat */

/* ---- the template */

/* Splits what the chat template writes around a user's text. False if there is no template. */
bool recall_setup_read_template(const pf_loaded *loaded, recall_setup *setup) {
    pf_text jinja = {0};
    pf_chat_template chat;
    pf_error ignored = {""};
    char *text = NULL;
    size_t size = 0;
    const pf_vocabulary *vocabulary = pf_tokenizer_vocabulary(loaded->tokenizer);
    const pf_chat_message message = {"user", place};
    if (!pf_checkpoint_get_text(loaded->checkpoint, "tokenizer.chat_template", &jinja, &ignored) ||
        jinja.size == 0 ||
        !pf_chat_template_find(jinja.bytes, jinja.size, vocabulary, &chat, &ignored) ||
        !pf_chat_render(&chat, &message, 1, 0, &text, &size, &ignored))
        return false;
    char *whole = pf_strndup(text, size, &ignored), *at = whole ? strstr(whole, place) : NULL;
    if (at) {
        setup->before = pf_strndup(whole, (size_t)(at - whole), &ignored);
        setup->after = pf_strndup(at + strlen(place), strlen(at + strlen(place)), &ignored);
        setup->source.before_flags = pf_chat_encode_flags(&chat, vocabulary, 0);
    }
    pf_free(text);
    pf_free(whole);
    setup->from_template = setup->before && setup->after;
    setup->source.before = setup->from_template ? setup->before : NULL;
    setup->source.after = setup->from_template ? setup->after : NULL;
    return setup->from_template;
}

/* ---- the distances */

static int ascending(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Four times as far each: 128, 512, 2048, and from 8 on where the context is short. */
static void choose_distances(const options *parsed, size_t context, recall_setup *setup) {
    uint64_t given[OPTIONS_MAX_LIST];
    size_t n = options_counts(parsed, FLAG_RECALL, given);
    setup->n_distances = 0;
    for (size_t i = 0; i < n; i++) setup->distances[setup->n_distances++] = (size_t)given[i];
    qsort(setup->distances, n, sizeof setup->distances[0], ascending);
    size_t nearest = context < SHORT_CONTEXT ? 8 : 128;
    for (size_t d = nearest; n == 0 && d <= FARTHEST && d < context; d *= 4)
        setup->distances[setup->n_distances++] = d;
}

/* Drops repeats, and what lies beyond `farthest`. */
static void limit_distances(recall_setup *setup, size_t farthest) {
    size_t n = 0;
    for (size_t i = 0; i < setup->n_distances; i++)
        if (setup->distances[i] <= farthest &&
            (n == 0 || setup->distances[i] > setup->distances[n - 1]))
            setup->distances[n++] = setup->distances[i];
    setup->n_distances = n;
}

/* ---- the text */

static bool add_texts(const pf_loaded *loaded, const input_texts *texts, pf_tokens *all,
                      pf_error *error) {
    const pf_vocabulary *v = loaded->tokenizer ? pf_tokenizer_vocabulary(loaded->tokenizer) : NULL;
    for (size_t i = 0; i < texts->count; i++)
        for (size_t k = 0; k < texts->texts[i].count; k++) {
            int32_t id = texts->texts[i].ids[k];
            bool is_bos = k == 0 && v && v->bos >= 0 && id == v->bos;
            if (!is_bos && !pf_tokens_push(all, id, error)) return false;
        }
    return true;
}

static bool make_text(const pf_loaded *loaded, const options *parsed, size_t n, pf_tokens *all,
                      pf_error *error) {
    pf_buffer story = {0};
    if (!loaded->tokenizer)
        return pf_fail(error, "%s has no tokenizer, so no text can be made; give ids with --tokens",
                       parsed->model);
    bool good = recall_story_write(parsed->values[FLAG_RECALL_SEED].count, n * STORY_BYTES, &story,
                                   error) &&
                pf_tokenizer_encode(loaded->tokenizer, story.bytes, story.n, 0, all, error);
    pf_free(story.bytes);
    return good;
}

bool recall_setup_make(const options *parsed, const pf_loaded *loaded, const input_texts *texts,
                       recall_setup *setup, pf_error *error) {
    const pf_model *model = loaded->model;
    recall_source *s = &setup->source;
    size_t context = model->context;
    if (parsed->given[FLAG_CONTEXT]) context = (size_t)parsed->values[FLAG_CONTEXT].count;
    choose_distances(parsed, context, setup);
    limit_distances(setup, SIZE_MAX);
    s->tokenizer = loaded->tokenizer;
    s->seed = parsed->values[FLAG_RECALL_SEED].count;
    s->passage = context / 8 < PASSAGE ? context / 8 : PASSAGE;
    if (s->passage < 2 * RECALL_HINT) s->passage = 2 * RECALL_HINT;
    size_t asked = setup->n_distances, farthest = asked ? setup->distances[asked - 1] : 0;
    setup->made = texts == NULL;
    if (!(texts ? add_texts(loaded, texts, &setup->text, error)
                : make_text(loaded, parsed, 8 * s->passage + 2 * farthest, &setup->text, error)))
        return false;
    s->ids = setup->text.ids;
    s->n = setup->text.count;
    limit_distances(setup, recall_longest_gap(s));
    if (asked == 0)
        return pf_fail(error, "the context of %zu tokens is too short for --recall", context);
    if (setup->n_distances == 0)
        return pf_fail(
            error,
            "the text has %zu tokens, but --recall needs %zu for a distance of %zu; give a "
            "longer --file, or no text, so that sentences are made",
            s->n, recall_needed(s, setup->distances[0]), setup->distances[0]);
    if (setup->n_distances < asked)
        note(parsed, "performer: the text has %zu tokens, enough for distances up to %zu", s->n,
             setup->distances[setup->n_distances - 1]);
    if (loaded->tokenizer) recall_setup_read_template(loaded, setup);
    farthest = setup->distances[setup->n_distances - 1];
    if (farthest >= pf_model_trained(model) && !model->position_embedding)
        note(parsed,
             "performer: warning: --recall asks over %zu tokens, but this model was trained for "
             "%u; beyond them softmax itself may remember little",
             farthest, pf_model_trained(model));
    size_t needed = farthest + 3 * s->passage + AROUND;
    bool bound = parsed->given[FLAG_CONTEXT] || model->position_embedding ||
                 !parsed->values[FLAG_RECALL].text;
    setup->most_tokens = bound && context < needed ? context : needed;
    return true;
}

void recall_setup_free(recall_setup *setup) {
    pf_tokens_free(&setup->text);
    pf_free(setup->before);
    pf_free(setup->after);
    *setup = (recall_setup){0};
}
