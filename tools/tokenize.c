/* floor 5.5 - tokenize: text -> pieces or ids, and back. */
#include "commands.h"
#include "hf.h"
#include "input.h"
#include "memory.h"
#include "open_model.h"
#include "session_flags.h"
#include "terminal.h"

#include <string.h>

typedef struct tokenization {
    const options *parsed;
    pf_checkpoint *checkpoint;
    pf_tokenizer *tokenizer;
    output out;
    json_t *json; /* --json: an array with an object per text */
    size_t texts; /* processed so far */
    size_t lost;  /* bytes without a token, in all of them */
} tokenization;

/* Turns "\n" into a newline and "\\" into a backslash, in place; returns the new size. */
static size_t unescape(char *text, size_t n) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        bool escape = text[i] == '\\' && i + 1 < n && (text[i + 1] == 'n' || text[i + 1] == '\\');
        if (escape) i++;
        text[used++] = escape && text[i] == 'n' ? '\n' : text[i];
    }
    return used;
}

static void write_escaped(output *out, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n')
            output_write(out, "\\n", 2);
        else if (text[i] == '\\')
            output_write(out, "\\\\", 2);
        else
            output_write(out, text + i, 1);
    }
}

/* Writes a piece as it is in the vocabulary, with control characters escaped to keep the table
 * straight. */
static void write_piece(output *out, const char *piece, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)piece[i];
        if (c < 0x20 || c == 0x7F)
            output_printf(out, "\\x%02X", c);
        else
            output_write(out, piece + i, 1);
    }
}

static void print_ids(tokenization *t, const pf_tokens *ids) {
    for (size_t i = 0; i < ids->count; i++)
        output_printf(&t->out, "%s%d", i ? " " : "", ids->ids[i]);
    output_write(&t->out, "\n", 1);
}

static void print_pieces(tokenization *t, const pf_tokens *ids) {
    if (t->texts) output_write(&t->out, "\n", 1);
    for (size_t i = 0; i < ids->count; i++) {
        size_t n = 0;
        const char *piece = pf_tokenizer_piece(t->tokenizer, ids->ids[i], &n);
        output_printf(&t->out, "%7d  ", ids->ids[i]);
        write_piece(&t->out, piece ? piece : "", n);
        output_write(&t->out, "\n", 1);
    }
}

static json_t *ids_json(const pf_tokens *ids) {
    json_t *array = json_array();
    for (size_t i = 0; i < ids->count; i++) json_array_append_new(array, json_integer(ids->ids[i]));
    return array;
}

static json_t *pieces_json(const tokenization *t, const pf_tokens *ids) {
    json_t *array = json_array();
    for (size_t i = 0; i < ids->count; i++) {
        size_t n = 0;
        const char *piece = pf_tokenizer_piece(t->tokenizer, ids->ids[i], &n);
        json_array_append_new(array, json_text(piece ? piece : "", n));
    }
    return array;
}

static bool encode(tokenization *t, const char *text, size_t n, pf_error *error) {
    pf_tokens ids = {0};
    unsigned flags_wanted = t->parsed->given[FLAG_NO_SPECIAL] ? 0 : PF_ENCODE_SPECIAL;
    if (t->parsed->given[FLAG_BOS]) flags_wanted |= PF_ENCODE_FORCE_BOS;
    bool good = pf_tokenizer_encode(t->tokenizer, text, n, flags_wanted, &ids, error);
    if (!good) {
        /* error is set */
    } else if (t->json) {
        json_array_append_new(t->json,
                              json_pack("{s:o, s:o, s:o}", "text", json_text(text, n), "ids",
                                        ids_json(&ids), "pieces", pieces_json(t, &ids)));
    } else if (t->parsed->given[FLAG_IDS]) {
        print_ids(t, &ids);
    } else {
        print_pieces(t, &ids);
    }
    t->lost += ids.lost;
    pf_tokens_free(&ids);
    return good;
}

/* Sets *text [*n bytes] to the text that the ids stand for. Free it with pf_free. */
static bool decode_ids(tokenization *t, const pf_tokens *ids, char **text, size_t *n,
                       pf_error *error) {
    size_t bytes = pf_tokenizer_max_bytes(t->tokenizer) + 16, room;
    if (!pf_mul_size(ids->count + 1, bytes, &room)) return pf_fail(error, "too many ids");
    size_t used = 0;
    pf_decoder decoder = {0};
    char *out = pf_calloc(room, 1, "the text", error);
    if (!out) return false;
    for (size_t i = 0; i < ids->count; i++) {
        if ((size_t)ids->ids[i] >= pf_tokenizer_size(t->tokenizer)) {
            pf_free(out);
            return pf_fail(error, "id %d is not in the vocabulary, which has the ids 0 to %zu",
                           ids->ids[i], pf_tokenizer_size(t->tokenizer) - 1);
        }
        used += pf_decoder_push(t->tokenizer, &decoder, ids->ids[i], out + used);
    }
    used += pf_decoder_finish(&decoder, out + used);
    *text = out;
    *n = used;
    return true;
}

static bool decode(tokenization *t, const char *line, size_t n, pf_error *error) {
    pf_tokens ids = {0};
    char *text = NULL;
    size_t size = 0;
    bool good = input_parse_ids(line, n, "the input", &ids, error) &&
                decode_ids(t, &ids, &text, &size, error);
    if (!good) {
        /* error is set */
    } else if (t->json) {
        json_array_append_new(
            t->json, json_pack("{s:o, s:o}", "ids", ids_json(&ids), "text", json_text(text, size)));
    } else {
        if (t->parsed->given[FLAG_ESCAPE])
            write_escaped(&t->out, text, size);
        else
            output_write(&t->out, text, size);
        output_write(&t->out, "\n", 1);
    }
    pf_free(text);
    pf_tokens_free(&ids);
    return good;
}

/* text [n] must be followed by a byte that may be overwritten. */
static bool work_on(tokenization *t, char *text, size_t n, pf_error *error) {
    bool good =
        t->parsed->given[FLAG_DECODE] ? decode(t, text, n, error) : encode(t, text, n, error);
    t->texts++;
    return good;
}

static bool work_on_lines(tokenization *t, char *text, size_t n, pf_error *error) {
    for (char *line = text, *end = text + n; line < end && !t->out.failure;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline ? newline : end) - line);
        char *next = line + length + 1;
        line[length] = 0;
        if (t->parsed->given[FLAG_ESCAPE] && !t->parsed->given[FLAG_DECODE]) {
            length = unescape(line, length);
            line[length] = 0;
        }
        if (!work_on(t, line, length, error)) {
            char why[sizeof error->message];
            memcpy(why, error->message, sizeof why);
            return pf_fail(error, "%s, line %zu: %.400s", t->parsed->values[FLAG_LINES_FILE].text,
                           t->texts, why);
        }
        line = next;
    }
    return true;
}

static bool tokenize(tokenization *t, pf_error *error) {
    t->checkpoint = pf_hf_or_file_open(t->parsed->model, true, error);
    if (!t->checkpoint) return false;
    t->tokenizer = tokenizer_from_checkpoint(t->checkpoint, error);
    if (!t->tokenizer) return false;
    if (t->parsed->given[FLAG_JSON]) t->json = json_array();
    char *text = NULL;
    size_t n = 0;
    bool lines = t->parsed->given[FLAG_LINES_FILE];
    if (t->parsed->given[FLAG_TEXT_ARGUMENT]) {
        n = strlen(t->parsed->values[FLAG_TEXT_ARGUMENT].text);
        text = pf_strndup(t->parsed->values[FLAG_TEXT_ARGUMENT].text, n, error);
        if (!text) return false;
    } else if (!input_read(lines ? t->parsed->values[FLAG_LINES_FILE].text : "-", &text, &n,
                           error)) {
        return false;
    }
    bool good = lines ? work_on_lines(t, text, n, error) : work_on(t, text, n, error);
    pf_free(text);
    if (good && t->json) {
        json_t *json = t->json;
        t->json = NULL;
        output_json(&t->out, json);
    }
    return good;
}

static int run(const options *parsed) {
    tokenization t = {.parsed = parsed};
    pf_error error = {0};
    bool good = tokenize(&t, &error);
    int status = output_finish(&t.out);
    warn_of_lost_bytes(parsed, t.lost);
    if (!good) status = complain(&error);
    json_decref(t.json);
    pf_tokenizer_free(t.tokenizer);
    pf_checkpoint_free(t.checkpoint);
    return status;
}

const command command_tokenize = {
    .name = "tokenize",
    .bit = FOR_TOKENIZE,
    .usage = "MODEL [-p TEXT | --file FILE] [options]",
    .summary = "turn text into pieces or ids, and back",
    .manual =
        "Shows how the model's tokenizer splits a text: one piece per line with its id, or, with "
        "--ids, one line of ids per text. The text is that of -p, or all of standard input; with "
        "--file every line is a text. With --decode the input is ids separated by white space, and "
        "the output is the text they stand for and a newline.\n\n"
        "MODEL may be a file with nothing but a vocabulary. Invalid UTF-8 is taken byte by byte; a "
        "byte of it for which the vocabulary has no token becomes U+FFFD.",
    .examples = "performer tokenize model.gguf -p \"Once upon a time\"\n"
                "performer tokenize model.gguf --ids < story.txt > ids.txt",
    .run = run,
};
