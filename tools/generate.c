/* floor 5.5 - generate: text from a prompt, token by token. */
#include "commands.h"
#include "input.h"
#include "load.h"
#include "memory.h"
#include "open_model.h"
#include "resources.h"
#include "sampler.h"
#include "saved_state.h"
#include "session_flags.h"
#include "terminal.h"

#include <string.h>
#include <time.h>

typedef enum stop_reason {
    STOP_TOKENS,
    STOP_END,
    STOP_CONTEXT,
    STOP_INTERRUPT,
    STOP_OUTPUT
} stop_reason;
static const char *const stop_names[] = {"tokens", "end", "context", "interrupt", "output"};

typedef struct generation {
    const options *parsed;
    pf_loaded loaded;
    pf_session *session;
    pf_sampler *sampler;
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
    double prefill_seconds, decode_seconds;
    size_t decoded; /* tokens appended one at a time */
    stop_reason stop;
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

static bool open_sampler(generation *g, pf_error *error) {
    const option_value *values = g->parsed->values;
    g->seed = choose_seed(g->parsed);
    pf_sampler_options sampling = {
        .temperature = (float)values[FLAG_TEMPERATURE].number,
        .top_k = (size_t)values[FLAG_TOP_K].count,
        .top_p = (float)values[FLAG_TOP_P].number,
        .min_p = (float)values[FLAG_MIN_P].number,
        .seed = g->seed,
    };
    g->sampler = pf_sampler_new(&sampling, g->loaded.model->n_vocab, error);
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
        !open_sampler(g, error))
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

/* Also saves ids that were drawn or given but not read yet; the decoder keeps an incomplete
 * character. */
static bool save_state(generation *g, pf_error *error) {
    if (!g->parsed->given[FLAG_SAVE_STATE]) return true;
    saved_state state = state_of(g);
    const int32_t *pending = g->prompt_ids.ids + g->n_read;
    size_t n_pending = g->prompt_ids.count - g->n_read;
    if (n_pending == 0 && g->ids.count > g->decoded) {
        pending = g->ids.ids + g->decoded;
        n_pending = g->ids.count - g->decoded;
    }
    return saved_state_save(&state, pending, n_pending, g->parsed->values[FLAG_SAVE_STATE].text,
                            error);
}

static bool encode_prompt(generation *g, pf_error *error) {
    bool loaded = g->parsed->given[FLAG_LOAD_STATE];
    unsigned how = loaded ? PF_ENCODE_CONTINUED : PF_ENCODE_BOS;
    if (!pf_tokenizer_encode(g->loaded.tokenizer, g->prompt, g->prompt_size,
                             how | PF_ENCODE_SPECIAL, &g->prompt_ids, error))
        return false;
    if (g->prompt_ids.count == 0 && !loaded)
        return pf_fail(error, "the prompt is empty and this model adds no BOS token, so there is "
                              "nothing to continue; give a prompt with -p");
    return check_room(g->session, g->prompt_ids.count, error);
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

/* Prints the prompt as it was typed. Its ids also go through the decoder, which then knows where
 * the text stands. An incomplete character at the end is left to the decoder, to come out once the
 * next token completes it. */
static bool echo_prompt(generation *g) {
    for (size_t i = g->n_loaded; i < g->prompt_ids.count; i++)
        pf_decoder_push(g->loaded.tokenizer, &g->decoder, g->prompt_ids.ids[i], g->piece);
    if (g->parsed->given[FLAG_NO_ECHO] || g->parsed->given[FLAG_JSON]) return true;
    size_t held = g->prompt_size ? (size_t)g->decoder.n_held : 0;
    return output_write(&g->out, g->prompt, g->prompt_size - (held < g->prompt_size ? held : 0));
}

/* Reads the prompt in chunks, checking for Ctrl-C between them. */
static bool prefill(generation *g, pf_error *error) {
    double start = seconds_now();
    size_t chunk = pf_session_get_options(g->session)->chunk, n = g->prompt_ids.count;
    for (size_t done = 0; done < n && !terminal_interrupted();) {
        size_t part = n - done < chunk ? n - done : chunk;
        if (!pf_session_append(g->session, g->prompt_ids.ids + done, part, g->logits,
                               done + part == n, error))
            return false;
        done += part;
        g->n_read = done;
        if (done < n) progress(g->parsed, "prompt: %zu of %zu tokens", done, n);
    }
    if (n > chunk) progress(g->parsed, "%s", "");
    g->prefill_seconds = seconds_now() - start;
    return true;
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
    /* A model may have more ids than its tokenizer; the extra ones print nothing. */
    if ((size_t)id < pf_tokenizer_size(tokenizer)) {
        size_t n = pf_decoder_push(tokenizer, &g->decoder, id, g->piece);
        if (!emit(g, g->piece, n, error)) return false;
    }
    if (g->stop == STOP_OUTPUT || g->ids.count == wanted) return true;
    if (pf_session_room(g->session) == 0) {
        g->stop = STOP_CONTEXT;
        return true;
    }
    if (!pf_session_append(g->session, &id, 1, g->logits, 1, error)) return false;
    g->decoded++;
    *again = true;
    return true;
}

static bool decode(generation *g, pf_error *error) {
    size_t wanted = (size_t)g->parsed->values[FLAG_N_TOKENS].count;
    double start = seconds_now();
    bool again = wanted > 0, good = true;
    while (good && again) {
        if (terminal_interrupted()) {
            g->stop = STOP_INTERRUPT;
            break;
        }
        good = step(g, wanted, &again, error);
    }
    g->decode_seconds = seconds_now() - start;
    if (!good || g->parsed->given[FLAG_SAVE_STATE]) return good;
    size_t n = pf_decoder_finish(&g->decoder, g->piece);
    return emit(g, g->piece, n, error);
}

static double rate(size_t n, double seconds) { return seconds > 0 ? (double)n / seconds : 0; }

static json_t *statistics(const generation *g) {
    pf_session_stats stats = pf_session_get_stats(g->session);
    const pf_session_options *session = pf_session_get_options(g->session);
    return json_pack("{s:I, s:I, s:f, s:f, s:I, s:I, s:s, s:I, s:I, s:I, s:s}", "prompt_tokens",
                     (json_int_t)g->prompt_ids.count, "tokens", (json_int_t)g->ids.count,
                     "prefill_tokens_per_second", rate(g->prompt_ids.count, g->prefill_seconds),
                     "decode_tokens_per_second", rate(g->decoded, g->decode_seconds), "state_bytes",
                     (json_int_t)pf_session_state_bytes(g->session), "peak_rss_bytes",
                     (json_int_t)peak_rss_bytes(), "attention",
                     pf_attention_name(session->attention.kind), "bad_denominators",
                     (json_int_t)stats.bad_denominators, "redraws", (json_int_t)stats.redraws,
                     "seed", (json_int_t)g->seed, "stopped_by", stop_names[g->stop]);
}

static void report(const generation *g) {
    pf_session_stats stats = pf_session_get_stats(g->session);
    const pf_session_options *session = pf_session_get_options(g->session);
    char state[16], peak[16];
    bool learned = g->loaded.model->position_embedding != NULL;
    if (g->stop == STOP_CONTEXT)
        note(g->parsed, "performer: the context of %zu tokens is full; %s",
             pf_session_position(g->session),
             learned ? "this model has no positions beyond it"
                     : "for more, give --context N, or --attention favor, which has no limit");
    note(g->parsed, "prompt %zu tokens, %.1f tokens/s; generated %zu tokens, %.1f tokens/s",
         g->prompt_ids.count, rate(g->prompt_ids.count, g->prefill_seconds), g->ids.count,
         rate(g->decoded, g->decode_seconds));
    note(g->parsed, "%s attention, state %s, peak memory %s",
         pf_attention_name(session->attention.kind),
         human_bytes(pf_session_state_bytes(g->session), state),
         human_bytes(peak_rss_bytes(), peak));
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

static bool generate(generation *g, pf_error *error) {
    if (!read_prompt(g, error) || !open_all(g, error) || !load_state(g, error) ||
        !encode_prompt(g, error))
        return false;
    terminal_catch_interrupt();
    g->out.unbuffered = output_is_terminal();
    if (!echo_prompt(g)) g->stop = STOP_OUTPUT;
    if (g->stop == STOP_OUTPUT) return true;
    if (!prefill(g, error)) return false;
    bool good = decode(g, error) && save_state(g, error);
    if (g->parsed->given[FLAG_JSON])
        print_json(g);
    else
        output_write(&g->out, "\n", 1);
    return good;
}

static void close_all(generation *g) {
    pf_session_free(g->session);
    pf_sampler_free(g->sampler);
    pf_loaded_close(&g->loaded);
    pf_free(g->prompt);
    pf_tokens_free(&g->prompt_ids);
    pf_tokens_free(&g->ids);
    pf_free(g->logits);
    pf_free(g->piece);
    pf_free(g->text);
}

static int run(const options *parsed) {
    if (parsed->given[FLAG_PROMPT] && parsed->given[FLAG_PROMPT_FILE])
        return complain_usage("generate", "give --prompt or --file, not both");
    generation g = {.parsed = parsed};
    pf_error error = {0};
    bool good = generate(&g, &error);
    int status = output_finish(&g.out);
    if (!good) {
        status = complain(&error);
    } else {
        report(&g);
        if (parsed->given[FLAG_STATS_JSON]) print_statistics_line(&g);
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
        "Prints the prompt, then its continuation as it is generated. Without a prompt the text "
        "starts from the BOS token. It ends after --tokens new tokens, at an end token, at the end "
        "of the context (softmax attention only; Performer attention has no limit), or at Ctrl-C. "
        "The text and a final newline go to standard output, the statistics to standard "
        "error.\n\n"
        "--save-state FILE saves the state of the text, and --load-state FILE continues from there "
        "as if there had been no break, if you give the same sampling options. The attention is "
        "the one saved with the state. A state that is damaged or belongs to another model is "
        "refused.\n\n"
        "The next token is sampled from softmax(logits / temperature), restricted by --top-k, "
        "--top-p and --min-p, in this order; -t 0 takes the most probable token. Tiny models write "
        "best at the defaults.",
    .examples = "performer generate models/weights/tales-favor.gguf -p \"Once upon a time\"\n"
                "performer generate model.gguf -f prompt.txt -n 1000 -t 0 --attention favor "
                "--features 256",
    .run = run,
};
