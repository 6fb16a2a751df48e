/* floor 5.4 - calibration texts: pieces of --file and --tokens, or texts written by the model. */
#include "calibration_texts.h"

#include "memory.h"
#include "sampler.h"
#include "session.h"
#include "terminal.h"

enum { DEFAULT_TOKENS = 24576, DEFAULT_LENGTH = 1024 };

static size_t at_most(size_t n, size_t limit) { return n < limit ? n : limit; }

/* Tokens per piece: --length, or by default up to `known`, the length that the model can handle. */
static size_t piece_length(const options *parsed, size_t known) {
    if (parsed->given[FLAG_LENGTH]) return (size_t)parsed->values[FLAG_LENGTH].count;
    return at_most(DEFAULT_LENGTH, known > 8 ? known : 8);
}

static bool add_piece(input_texts *texts, int32_t bos, const int32_t *ids, size_t n,
                      pf_error *error) {
    pf_tokens *piece = input_texts_add(texts, error);
    if (!piece || (bos >= 0 && !pf_tokens_push(piece, bos, error))) return false;
    for (size_t i = 0; i < n; i++)
        if (!pf_tokens_push(piece, ids[i], error)) return false;
    return true;
}

/* Cuts one text into pieces. */
static bool cut(const pf_tokens *ids, int32_t bos, size_t length, input_texts *pieces,
                pf_error *error) {
    size_t room = bos >= 0 ? length - 1 : length;
    for (size_t at = 0; at < ids->count; at += room) {
        size_t n = at_most(ids->count - at, room);
        if (at > 0 && n < room / 4) break;
        if (!add_piece(pieces, bos, ids->ids + at, n, error)) return false;
    }
    return true;
}

static bool read_file(const options *parsed, const pf_loaded *loaded, const char *path,
                      input_texts *pieces, pf_error *error) {
    char *text = NULL;
    size_t n = 0;
    if (!loaded->tokenizer)
        return pf_fail(error, "%s has no tokenizer; give ids with --tokens", parsed->model);
    if (!input_read(path, &text, &n, error)) return false;
    const pf_vocabulary *vocabulary = pf_tokenizer_vocabulary(loaded->tokenizer);
    pf_tokens ids = {0};
    bool good = pf_tokenizer_encode(loaded->tokenizer, text, n, PF_ENCODE_SPECIAL, &ids, error) &&
                (ids.count > 0 || pf_fail(error, "%s contains no text", path)) &&
                cut(&ids, vocabulary->add_bos ? vocabulary->bos : -1,
                    piece_length(parsed, loaded->model->context / 2), pieces, error);
    pf_tokens_free(&ids);
    pf_free(text);
    return good;
}

static bool read_tokens(const options *parsed, const pf_loaded *loaded, const char *path,
                        input_texts *pieces, pf_error *error) {
    input_texts lines = {0};
    bool good = input_read_ids(path, &lines, error);
    for (size_t i = 0; good && i < lines.count; i++)
        good =
            cut(&lines.texts[i], -1, piece_length(parsed, loaded->model->context), pieces, error);
    input_texts_free(&lines);
    return good;
}

/* Takes one piece from each of sources [n] in turn until there are enough. */
static bool take_in_turn(const options *parsed, input_texts *sources, size_t n, input_texts *texts,
                         pf_error *error) {
    size_t most = SIZE_MAX, tokens = 0, left = 1;
    if (parsed->given[FLAG_TEXTS]) most = (size_t)parsed->values[FLAG_TEXTS].count;
    for (size_t round = 0; left > 0; round++) {
        left = 0;
        for (size_t i = 0; i < n; i++) {
            if (round >= sources[i].count) continue;
            const pf_tokens *piece = &sources[i].texts[round];
            bool enough = texts->count >= most;
            if (!parsed->given[FLAG_TEXTS])
                enough = texts->count > 0 && tokens + piece->count > DEFAULT_TOKENS;
            if (enough) return true;
            if (!add_piece(texts, -1, piece->ids, piece->count, error)) return false;
            tokens += piece->count;
            left++;
        }
    }
    return texts->count > 0 || pf_fail(error, "there is no text to calibrate on");
}

bool read_calibration_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                            pf_error *error) {
    const char *files[OPTIONS_MAX_REPEATS], *tokens[OPTIONS_MAX_REPEATS];
    size_t n_files = options_repeats(parsed, FLAG_CALIBRATION_FILE, files);
    size_t n_tokens = options_repeats(parsed, FLAG_CALIBRATION_TOKENS, tokens);
    size_t n = n_files + n_tokens;
    input_texts *sources = pf_calloc(n, sizeof *sources, "the texts", error);
    bool good = sources != NULL;
    for (size_t i = 0; good && i < n; i++)
        good = i < n_files ? read_file(parsed, loaded, files[i], &sources[i], error)
                           : read_tokens(parsed, loaded, tokens[i - n_files], &sources[i], error);
    good = good && take_in_turn(parsed, sources, n, texts, error);
    for (size_t i = 0; sources && i < n; i++) input_texts_free(&sources[i]);
    pf_free(sources);
    return good;
}

/* ---- written by the model ---- */

static int32_t first_token(const pf_loaded *loaded) {
    const pf_vocabulary *v = loaded->tokenizer ? pf_tokenizer_vocabulary(loaded->tokenizer) : NULL;
    if (v && v->add_bos && v->bos >= 0) return v->bos;
    /* Without BOS, the token that ends one text starts the next. */
    return v && v->eos >= 0 ? v->eos : 0;
}

static bool write_text(const options *parsed, pf_session *session, pf_sampler *sampler,
                       int32_t first, size_t length, size_t number, float *logits, pf_tokens *text,
                       pf_error *error) {
    int32_t id = first;
    pf_session_reset(session);
    while (text->count < length) {
        if (terminal_interrupted()) return pf_fail(error, "interrupted");
        if (!pf_tokens_push(text, id, error) ||
            !pf_session_append(session, &id, 1, logits, 1, error))
            return false;
        id = pf_sampler_next(sampler, logits);
        if (id < 0) return pf_fail(error, "the model's logits are not finite");
        if (text->count % 32 == 0)
            progress(parsed, "writing text %zu: %zu of %zu tokens", number + 1, text->count,
                     length);
    }
    return true;
}

bool write_calibration_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                             pf_error *error) {
    size_t length = piece_length(parsed, loaded->model->context / 2);
    size_t count = (DEFAULT_TOKENS + length - 1) / length;
    if (parsed->given[FLAG_TEXTS]) count = (size_t)parsed->values[FLAG_TEXTS].count;
    pf_session_options settings = pf_session_options_default(loaded->model);
    settings.attention.kind = PF_ATTENTION_SOFTMAX;
    settings.context = length;
    if (parsed->given[FLAG_THREADS]) settings.n_threads = (int)parsed->values[FLAG_THREADS].count;
    pf_sampler_options sampling = pf_sampler_options_default();
    sampling.top_p = 1;
    sampling.seed = parsed->values[FLAG_CALIBRATION_SEED].count;
    pf_session *session = pf_session_new(loaded->model, &settings, error);
    pf_sampler *sampler = pf_sampler_new(&sampling, loaded->model->n_vocab, error);
    float *logits = pf_calloc(loaded->model->n_vocab, sizeof *logits, "the logits", error);
    bool good = session && sampler && logits;
    for (size_t i = 0; good && i < count; i++) {
        pf_tokens *text = input_texts_add(texts, error);
        good = text && write_text(parsed, session, sampler, first_token(loaded), length, i, logits,
                                  text, error);
    }
    progress(parsed, "%s", "");
    pf_session_free(session);
    pf_sampler_free(sampler);
    pf_free(logits);
    return good;
}
