/* floor 5.6 - generate: text from a prompt, token by token. */
#include "choose_template.h"
#include "commands.h"
#include "input.h"
#include "load.h"
#include "memory.h"
#include "open_model.h"
#include "resources.h"
#include "sampling_flags.h"
#include "saved_state.h"
#include "session_flags.h"
#include "speed.h"
#include "stop_texts.h"
#include "terminal.h"
#include "warn_model.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef enum stop_reason {
    STOP_TOKENS,
    STOP_END,
    STOP_TEXT,
    STOP_CONTEXT,
    STOP_INTERRUPT,
    STOP_OUTPUT
} stop_reason;
static const char *const stop_names[] = {"tokens", "end", "stop", "context", "interrupt", "output"};

typedef struct generation {
    const options *parsed;
    pf_loaded loaded;
    pf_session *session;
    pf_sampler *sampler;
    unsigned char *breaks; /* see sampler_from */
    const char *stop_list[OPTIONS_MAX_REPEATS];
    pf_stop_texts stops;
    uint64_t seed;
    char *prompt; /* [prompt_size] */
    size_t prompt_size;
    pf_tokens prompt_ids; /* ids to read first: those of a loaded state, then the prompt */
    size_t n_loaded;      /* how many of them come from the state */
    size_t n_read;        /* how many of them have been read */
    pf_tokens ids;
    float *logits; /* [V] */
    pf_decoder decoder;
    char *piece; /* what one token decodes to */
    output out;
    char *text; /* --json: everything generated so far [text_size] */
    size_t text_size, text_room;
    double start, prefill_seconds;
    text_speed written;
    uint64_t peak_bytes; /* of memory, before the limit is measured */
    double limit;        /* --limits: bytes per second that the machine reads; else 0 */
    size_t decoded;      /* tokens appended one at a time */
    stop_reason stop;
    bool told_reach; /* see tell_reach */
} generation;

static bool read_prompt(generation *g, pf_error *error) {
    const option_value *values = g->parsed->values;
    if (g->parsed->given[FLAG_PROMPT_FILE])
        return input_read(values[FLAG_PROMPT_FILE].text, &g->prompt, &g->prompt_size, error);
    const char *text = g->parsed->given[FLAG_PROMPT] ? values[FLAG_PROMPT].text : "";
    g->prompt_size = strlen(text);
    g->prompt = pf_strndup(text, g->prompt_size, error);
    return g->prompt != NULL;
}

static uint64_t choose_seed(const options *parsed) {
    if (parsed->given[FLAG_SEED]) return parsed->values[FLAG_SEED].count;
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return ((uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec) % 1000000000u;
}

static bool open_sampler(generation *g, size_t context, pf_error *error) {
    g->seed = choose_seed(g->parsed);
    g->sampler = sampler_from(g->parsed, g->loaded.tokenizer, g->loaded.model->n_vocab, context,
                              g->seed, &g->breaks, error);
    return g->sampler != NULL;
}

static bool open_all(generation *g, pf_error *error) {
    const char *path = g->parsed->model;
    if (!load_model(g->parsed, &g->loaded, error)) return false;
    if (!g->loaded.tokenizer)
        return pf_fail(
            error, "%s has no tokenizer; add one with `performer convert --tokenizer FILE`", path);
    pf_session_options session;
    if (!session_options_from(g->parsed, g->loaded.model, &session, error) ||
        !open_sampler(g, session.context, error))
        return false;
    g->session = pf_session_new(g->loaded.model, &session, error);
    g->logits = pf_calloc(g->loaded.model->n_vocab, sizeof(float), "the logits", error);
    g->piece = pf_calloc(pf_tokenizer_max_bytes(g->loaded.tokenizer) + 16, 1, "a token", error);
    return g->session && g->logits && g->piece;
}

static saved_state state_of(generation *g) {
    return (saved_state){g->session, g->sampler, &g->decoder, g->logits};
}

static bool load_state(generation *g, pf_error *error) {
    if (!g->parsed->given[FLAG_LOAD_STATE]) return true;
    saved_state state = state_of(g);
    bool done = saved_state_load(&state, &g->prompt_ids, g->parsed->given[FLAG_SEED],
                                 g->parsed->values[FLAG_LOAD_STATE].text, error);
    g->n_loaded = g->prompt_ids.count;
    return done;
}

/* Also saves an id that was drawn but not read yet; the decoder keeps an incomplete character. Of a
 * prompt that was read in part, the rest is not saved. */
static bool save_state(generation *g, pf_error *error) {
    if (!g->parsed->given[FLAG_SAVE_STATE]) return true;
    saved_state state = state_of(g);
    return saved_state_save(&state, g->ids.ids + g->decoded, g->ids.count - g->decoded,
                            g->parsed->values[FLAG_SAVE_STATE].text, error);
}

/* --template: the prompt as a user's message. */
static bool encode_message(generation *g, pf_error *error) {
    pf_chat_template chat;
    bool found;
    char *text = NULL;
    size_t size = 0;
    const pf_vocabulary *vocabulary = pf_tokenizer_vocabulary(g->loaded.tokenizer);
    const pf_chat_message message = {"user", g->prompt};
    if (g->parsed->given[FLAG_LOAD_STATE])
        return pf_fail(error, "--template begins a dialogue, so it cannot follow --load-state; "
                              "`performer chat --load-state FILE` continues one");
    if (strlen(g->prompt) != g->prompt_size)
        return pf_fail(error, "the prompt has a NUL byte, which --template cannot take");
    bool good =
        choose_template(g->parsed, &g->loaded, &chat, &found, error) &&
        pf_chat_render(&chat, &message, 1, 0, &text, &size, error) &&
        pf_tokenizer_encode(g->loaded.tokenizer, text, size,
                            pf_chat_encode_flags(&chat, vocabulary, 0), &g->prompt_ids, error);
    pf_free(text);
    pf_chat_template_free(&chat);
    return good;
}

static bool encode_plain(generation *g, pf_error *error) {
    bool loaded = g->parsed->given[FLAG_LOAD_STATE];
    unsigned how = loaded ? PF_ENCODE_CONTINUED : PF_ENCODE_BOS;
    if (!pf_tokenizer_encode(g->loaded.tokenizer, g->prompt, g->prompt_size,
                             how | PF_ENCODE_SPECIAL, &g->prompt_ids, error))
        return false;
    warn_of_two_bos(g->parsed, &g->loaded, &g->prompt_ids);
    if (g->prompt_ids.count == 0 && !loaded)
        return pf_fail(error, "the prompt is empty and this model adds no BOS token, so there is "
                              "nothing to continue; give a prompt with -p");
    return true;
}

/* A loaded state keeps its attention, so only a longer context helps it. */
static bool check_length(const generation *g, pf_error *error) {
    size_t n = g->prompt_ids.count, room = pf_session_room(g->session);
    if (!g->parsed->given[FLAG_LOAD_STATE] || n <= room) return check_room(g->session, n, error);
    size_t position = pf_session_position(g->session);
    return pf_fail(error,
                   "the text has %zu tokens, those of the state included, but the context is %zu; "
                   "give --context %zu",
                   position + n, position + room, position + n);
}

static bool encode_prompt(generation *g, pf_error *error) {
    bool message = g->parsed->given[FLAG_TEMPLATE];
    if (!(message ? encode_message(g, error) : encode_plain(g, error)) || !check_length(g, error))
        return false;
    const pf_session_options *session = pf_session_get_options(g->session);
    size_t n = pf_session_position(g->session) + g->prompt_ids.count;
    warn_of_favor(g->parsed, g->loaded.model, session);
    warn_beyond_training(g->parsed, g->loaded.model, session, n);
    warn_of_lost_bytes(g->parsed, g->prompt_ids.lost);
    return true;
}

/* Keeps the text for --json, otherwise prints it. */
static bool emit(generation *g, const char *bytes, size_t n, pf_error *error) {
    if (!g->parsed->given[FLAG_JSON]) {
        if (!output_write(&g->out, bytes, n)) g->stop = STOP_OUTPUT;
        return true;
    }
    if (g->text_room - g->text_size < n) {
        size_t room = 2 * (g->text_room + n) + 256;
        char *grown = pf_realloc(g->text, room, 1, "the text", error);
        if (!grown) return false;
        g->text = grown;
        g->text_room = room;
    }
    memcpy(g->text + g->text_size, bytes, n);
    g->text_size += n;
    return true;
}

/* Prints the prompt as it was typed. An incomplete character at the end is left to the decoder, to
 * come out once the next token completes it. */
static bool echo_prompt(generation *g) {
    if (g->parsed->given[FLAG_TEMPLATE]) return true; /* the answer begins a text of its own */
    if (g->parsed->given[FLAG_NO_ECHO] || g->parsed->given[FLAG_JSON]) return true;
    pf_decoder decoder = g->decoder;
    for (size_t i = g->n_loaded; i < g->prompt_ids.count; i++)
        pf_decoder_push(g->loaded.tokenizer, &decoder, g->prompt_ids.ids[i], g->piece);
    size_t held = g->prompt_size ? (size_t)decoder.n_held : 0;
    return output_write(&g->out, g->prompt, g->prompt_size - (held < g->prompt_size ? held : 0));
}

/* Reads n ids of the prompt. They also go through the decoder, which then knows where the text
 * stands; those of a loaded state have been through it. */
static bool read_ids(generation *g, size_t n, pf_error *error) {
    const int32_t *ids = g->prompt_ids.ids + g->n_read;
    if (!pf_session_append(g->session, ids, n, g->logits, 1, error)) return false;
    tell_reach(g->parsed, g->session, &g->told_reach);
    for (size_t i = 0; i < n; i++, g->n_read++) {
        pf_sampler_accept(g->sampler, ids[i]);
        if (g->n_read >= g->n_loaded && !g->parsed->given[FLAG_TEMPLATE])
            pf_decoder_push(g->loaded.tokenizer, &g->decoder, ids[i], g->piece);
    }
    return true;
}

/* Reads the prompt in chunks, checking for Ctrl-C between them. Each chunk leaves logits, and the
 * first is always read, so that there is a state to save wherever reading stops. */
static bool prefill(generation *g, pf_error *error) {
    double start = seconds_now();
    size_t chunk = pf_session_get_options(g->session)->chunk, n = g->prompt_ids.count;
    while (g->n_read < n && g->stop != STOP_INTERRUPT) {
        if (!read_ids(g, n - g->n_read < chunk ? n - g->n_read : chunk, error)) return false;
        if (g->n_read < n) progress(g->parsed, "prompt: %zu of %zu tokens", g->n_read, n);
        if (g->n_read < n && terminal_interrupted()) g->stop = STOP_INTERRUPT;
    }
    if (n > chunk) progress(g->parsed, "%s", "");
    g->prefill_seconds = seconds_now() - start;
    return true;
}

/* Lets a piece of the text through, up to a stop text. */
static bool let_through(generation *g, size_t n, pf_error *error) {
    const char *shown;
    size_t n_shown;
    if (!pf_stop_texts_add(&g->stops, g->piece, n, &shown, &n_shown, error)) return false;
    if (g->stops.found) g->stop = STOP_TEXT;
    return emit(g, shown, n_shown, error);
}

/* The last bytes of the text: an incomplete character, unless a saved state will complete it, and
 * what was held back because it might have begun a stop text. */
static bool let_out_rest(generation *g, pf_error *error) {
    const char *shown;
    size_t n_shown;
    if (g->stop == STOP_TEXT) return true;
    size_t n = g->parsed->given[FLAG_SAVE_STATE] ? 0 : pf_decoder_finish(&g->decoder, g->piece);
    if (!let_through(g, n, error)) return false;
    pf_stop_texts_end(&g->stops, &shown, &n_shown);
    return emit(g, shown, n_shown, error);
}

/* Generates one more token; sets *again to false if the text ends here. */
static bool step(generation *g, size_t wanted, bool *again, pf_error *error) {
    const pf_tokenizer *tokenizer = g->loaded.tokenizer;
    *again = false;
    int32_t id = pf_sampler_next(g->sampler, g->logits);
    if (id < 0)
        return pf_fail(error,
                       "%s: the logits after token %zu are not finite although all weights are: "
                       "values overflow on the way; the file is damaged, or its model needs "
                       "another program",
                       g->parsed->model, pf_session_position(g->session));
    if (pf_tokenizer_is_end(tokenizer, id) && !g->parsed->given[FLAG_IGNORE_EOS]) {
        g->stop = STOP_END;
        return true;
    }
    if (!pf_tokens_push(&g->ids, id, error)) return false;
    if (g->ids.count == 1) g->written.first_seconds = seconds_now() - g->start;
    /* A model may have more ids than its tokenizer; the extra ones print nothing. */
    if ((size_t)id < pf_tokenizer_size(tokenizer)) {
        size_t n = pf_decoder_push(tokenizer, &g->decoder, id, g->piece);
        if (!let_through(g, n, error)) return false;
    }
    if (g->stop == STOP_OUTPUT || g->stop == STOP_TEXT || g->ids.count == wanted) return true;
    if (pf_session_room(g->session) == 0) {
        g->stop = STOP_CONTEXT;
        return true;
    }
    if (!pf_session_append(g->session, &id, 1, g->logits, 1, error)) return false;
    tell_reach(g->parsed, g->session, &g->told_reach);
    pf_sampler_accept(g->sampler, id);
    g->decoded++;
    *again = true;
    return true;
}

static bool decode(generation *g, pf_error *error) {
    size_t wanted = tokens_wanted(g->parsed);
    double start = seconds_now();
    g->written.position = pf_session_position(g->session);
    bool again = wanted > 0 && g->stop != STOP_INTERRUPT, good = true;
    while (good && again) {
        if (terminal_interrupted()) {
            g->stop = STOP_INTERRUPT;
            break;
        }
        good = step(g, wanted, &again, error);
    }
    g->written.decode_seconds = seconds_now() - start;
    g->written.decoded = g->decoded;
    return good && let_out_rest(g, error);
}

static double rate(size_t n, double seconds) { return seconds > 0 ? (double)n / seconds : 0; }

static json_t *statistics(const generation *g) {
    pf_session_stats stats = pf_session_get_stats(g->session);
    const pf_session_options *session = pf_session_get_options(g->session);
    double bytes = speed_bytes_per_second(&g->written, g->loaded.model, &session->attention);
    json_t *json =
        json_pack("{s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:s}", "prompt_tokens",
                  (json_int_t)g->n_read, "tokens", (json_int_t)g->ids.count,
                  "prefill_tokens_per_second", rate(g->n_read, g->prefill_seconds),
                  "decode_tokens_per_second", speed_tokens_per_second(&g->written), "state_bytes",
                  (json_int_t)pf_session_state_bytes(g->session), "state_bytes_in_use",
                  (json_int_t)state_in_use(g->session), "peak_rss_bytes", (json_int_t)g->peak_bytes,
                  "attention", pf_attention_name(session->attention.kind), "bad_denominators",
                  (json_int_t)stats.bad_denominators, "redraws", (json_int_t)stats.redraws, "seed",
                  (json_int_t)g->seed, "stopped_by", stop_names[g->stop]);
    if (g->ids.count)
        json_object_set_new(json, "seconds_to_first_token", json_real(g->written.first_seconds));
    json_object_set_new(json, "read_gb_per_second", json_real(bytes / 1e9));
    if (g->limit > 0) {
        json_object_set_new(json, "limit_read_gb_per_second", json_real(g->limit / 1e9));
        json_object_set_new(json, "share_of_limit", json_real(bytes / g->limit));
    }
    return json;
}

/* Ctrl-C came before the whole prompt was read, so nothing was generated. */
static bool stopped_in_prompt(const generation *g) {
    return g->stop == STOP_INTERRUPT && g->n_read < g->prompt_ids.count;
}

static void note_full_context(const generation *g) {
    char other[ENDLESS_SIZE];
    const pf_model *model = g->loaded.model;
    size_t n = pf_session_position(g->session);
    if (model->position_embedding)
        note(g->parsed,
             "performer: the context of %zu tokens is full; this model has no positions beyond it",
             n);
    else if (g->parsed->given[FLAG_LOAD_STATE])
        note(g->parsed, "performer: the context of %zu tokens is full; for more, give --context N",
             n);
    else
        note(g->parsed,
             "performer: the context of %zu tokens is full; for more, give --context N, or %s, "
             "which has no limit",
             n, endless_attention(model, false, other));
}

static void report(const generation *g) {
    pf_session_stats stats = pf_session_get_stats(g->session);
    const pf_session_options *session = pf_session_get_options(g->session);
    char state[STATE_TEXT], peak[16], speed[SPEED_TEXT], seconds[16], first[48] = "";
    if (stopped_in_prompt(g))
        note(g->parsed, "performer: interrupted: %zu of %zu tokens of the prompt were read%s",
             g->n_read, g->prompt_ids.count,
             g->parsed->given[FLAG_SAVE_STATE] ? ", and the state saved is theirs" : "");
    if (g->stop == STOP_CONTEXT) note_full_context(g);
    size_t n_prompt = g->n_read, n = g->ids.count;
    if (n)
        snprintf(first, sizeof first, "first token after %s; ",
                 human_seconds(g->written.first_seconds, seconds));
    note(g->parsed, "prompt %zu token%s, %.1f tokens/s; generated %zu token%s%s", n_prompt,
         plural(n_prompt), rate(n_prompt, g->prefill_seconds), n, plural(n),
         speed_text(&g->written, g->loaded.model, &session->attention, g->limit, speed));
    note(g->parsed, "%s%s attention, %s, peak memory %s", first,
         pf_attention_name(session->attention.kind), state_text(g->session, state),
         human_bytes(g->peak_bytes, peak));
    if (g->parsed->values[FLAG_TEMPERATURE].number > 0 && !g->parsed->given[FLAG_LOAD_STATE])
        note(g->parsed, "to get this text again: --seed %llu", (unsigned long long)g->seed);
    if (stats.bad_denominators)
        note(g->parsed,
             "performer: warning: the denominator of %llu attention rows was not positive; try "
             "more --features or another --map",
             (unsigned long long)stats.bad_denominators);
}

static void print_json(generation *g) {
    json_t *json = statistics(g), *ids = json_array();
    for (size_t i = 0; i < g->ids.count; i++)
        json_array_append_new(ids, json_integer(g->ids.ids[i]));
    json_object_set_new(json, "prompt", json_text(g->prompt, g->prompt_size));
    json_object_set_new(json, "text", json_text(g->text ? g->text : "", g->text_size));
    json_object_set_new(json, "ids", ids);
    output_json(&g->out, json);
}

static void print_statistics_line(const generation *g) {
    fflush(stdout);
    note_json(statistics(g));
}

static bool measure_limits(generation *g, pf_error *error) {
    g->peak_bytes = peak_rss_bytes();
    if (!g->parsed->given[FLAG_LIMITS]) return true;
    g->limit = speed_limit(pf_session_get_options(g->session)->n_threads, error);
    return g->limit > 0;
}

static bool generate(generation *g, pf_error *error) {
    if (!read_prompt(g, error) || !open_all(g, error) || !load_state(g, error) ||
        !encode_prompt(g, error))
        return false;
    terminal_catch_interrupt();
    g->out.unbuffered = true; /* whoever reads, a person or a program, gets each token at once */
    if (!echo_prompt(g)) g->stop = STOP_OUTPUT;
    if (g->stop == STOP_OUTPUT) return true;
    if (!prefill(g, error)) return false;
    bool good = decode(g, error) && save_state(g, error) && measure_limits(g, error);
    if (g->parsed->given[FLAG_JSON])
        print_json(g);
    else
        output_write(&g->out, "\n", 1);
    return good;
}

static void close_all(generation *g) {
    pf_session_free(g->session);
    pf_sampler_free(g->sampler);
    pf_free(g->breaks);
    pf_stop_texts_free(&g->stops);
    pf_loaded_close(&g->loaded);
    pf_free(g->prompt);
    pf_tokens_free(&g->prompt_ids);
    pf_tokens_free(&g->ids);
    pf_free(g->logits);
    pf_free(g->piece);
    pf_free(g->text);
}

static int run(const options *parsed) {
    generation g = {.parsed = parsed, .start = seconds_now()};
    pf_error error = {0};
    if (!pf_stop_texts_start(&g.stops, g.stop_list, options_repeats(parsed, FLAG_STOP, g.stop_list),
                             &error)) {
        pf_stop_texts_free(&g.stops);
        return complain_usage("generate", "--stop: %s", error.message);
    }
    bool good = generate(&g, &error);
    int status = output_finish(&g.out);
    if (!good) {
        status = complain(&error);
    } else {
        report(&g);
        if (parsed->given[FLAG_STATS_JSON]) print_statistics_line(&g);
        if (status == EXIT_DONE && stopped_in_prompt(&g)) status = EXIT_INTERRUPTED;
    }
    close_all(&g);
    return status;
}

const command command_generate = {
    .name = "generate",
    .bit = FOR_GENERATE,
    .usage = "MODEL [-p TEXT | -f FILE] [options]",
    .summary = "continue a prompt",
    .manual =
        "Prints the prompt, then its continuation as it is generated. The prompt is that of -p or "
        "--file, or standard input if that is a pipe or a file. Without a prompt the text starts "
        "from the BOS token. It ends after --tokens new tokens, at an end token, at the end "
        "of the context (softmax attention only; Performer attention has no limit), or at Ctrl-C. "
        "The text and a final newline go to standard output, the statistics to standard "
        "error. Ctrl-C while the prompt is still being read ends with exit status 130, and "
        "--save-state then saves what was read. SIGTERM and SIGHUP do the same as Ctrl-C, with "
        "exit status 143 or 129.\n\n"
        "--save-state FILE saves the state of the text, and --load-state FILE continues from there "
        "as if there had been no break, if you give the same sampling options. The attention is "
        "the one saved with the state. A state that is damaged or belongs to another model is "
        "refused.\n\n"
        "The next token is sampled from softmax(logits / temperature), restricted by --top-k, "
        "--top-p and --min-p, in this order; -t 0 takes the most probable token. Before all that, "
        "--repeat-penalty, --presence-penalty, --frequency-penalty and --dry-multiplier make what "
        "the text already has less probable: for models that run in circles. Tiny models write "
        "best at the defaults.\n\n"
        "--stop TEXT ends the text before the first TEXT that the model writes, however it is cut "
        "into tokens.",
    .examples = "performer generate models/weights/tales-favor.gguf -p \"Once upon a time\"\n"
                "performer generate model.gguf -f prompt.txt -n 1000 -t 0 --attention favor "
                "--features 256",
    .run = run,
};
