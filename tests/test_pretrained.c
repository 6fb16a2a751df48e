/* floor 6.1 - tests of real pretrained models: Gemma 3 270M (`make gemma3`) and Qwen2.5-Coder-0.5B
 * (`make qwen-coder`).
 *
 * Their goldens come from llama.cpp on the same weights as F32, with keys and values in F16: losses
 * agree to about 3e-4. The text of 1,400 tokens is longer than Gemma's window of 512. */
#include "testing.h"

#include "load.h"
#include "probability.h"
#include "session.h"
#include "tokenizer.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHARED "../shared/data/models/"

typedef struct {
    const char *file, *golden;
    pf_loaded loaded;
} pretrained;

static pretrained gemma = {"models/downloads/gemma-3-270m.gguf", SHARED "gemma3-270m/", {0}};
static pretrained qwen = {
    "models/downloads/qwen2.5-coder-0.5b-instruct.gguf", SHARED "qwen2.5-coder-0.5b/", {0}};

static pretrained *need(void **state) {
    pretrained *m = *state;
    char path[128];
    pf_error error = {""};
    snprintf(path, sizeof path, "%stokenizer.jsonl", m->golden);
    need_file(m->file);
    need_file(path);
    if (!m->loaded.model && !pf_loaded_open(m->file, &m->loaded, &error))
        fail_msg("%s", error.message);
    return m;
}

static json_t *golden(const pretrained *m, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s%s", m->golden, name);
    json_t *json = json_load_file(path, 0, NULL);
    assert_non_null(json);
    return json;
}

static size_t read_ids(const json_t *array, int32_t *ids, size_t room) {
    size_t n = json_array_size(array);
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return n;
}

static pf_session *open_session(const pretrained *m) {
    pf_session_options options = pf_session_options_default(m->loaded.model);
    options.context = 2048;
    options.float_activations = true;
    pf_error error = {""};
    pf_session *session = pf_session_new(m->loaded.model, &options, &error);
    if (!session) fail_msg("%s", error.message);
    return session;
}

static double loss_of(const float *logits, size_t n, int32_t target) {
    return pf_softmax_of(logits, n, NULL).log_sum - (double)logits[target];
}

/* Every text of tokenizer.jsonl, in both columns. */
static void test_tokenizer(void **state) {
    enum { ROOM = 4096 };
    const pretrained *m = need(state);
    static const struct {
        const char *key;
        unsigned flags;
    } columns[] = {{"ids", PF_ENCODE_BOS | PF_ENCODE_SPECIAL}, {"ids_plain", 0}};
    char path[128];
    snprintf(path, sizeof path, "%stokenizer.jsonl", m->golden);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t texts = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)); texts++) {
        const json_t *text = json_object_get(line, "text");
        for (size_t c = 0; c < 2; c++) {
            static int32_t want[ROOM];
            size_t n = read_ids(json_object_get(line, columns[c].key), want, ROOM);
            pf_tokens found = {0};
            assert_true(pf_tokenizer_encode(m->loaded.tokenizer, json_string_value(text),
                                            json_string_length(text), columns[c].flags, &found,
                                            NULL));
            /* Qwen's own tokenizer composes "e" and U+0301, which llama.cpp does not. */
            bool other = pf_tokenizer_vocabulary(m->loaded.tokenizer)->n_normal_steps > 0 &&
                         strstr(json_string_value(text), "e\xCC\x81");
            if (!other &&
                (found.count != n || (n && memcmp(found.ids, want, n * sizeof *want) != 0)))
                fail_msg("%s of \"%s\" differ", columns[c].key, json_string_value(text));
            pf_tokens_free(&found);
        }
        json_decref(line);
    }
    fclose(file);
    assert_true(texts >= 46);
}

/* The losses of the last `measured` predictions: their mean within 1e-3. */
static void check_losses(const pretrained *m, const char *name, size_t measured) {
    enum { ROOM = 1400, STEP = 64 };
    static int32_t ids[ROOM];
    json_t *json = golden(m, name);
    const json_t *nll = json_object_get(json, "nll");
    size_t n = read_ids(json_object_get(json, "ids"), ids, ROOM), V = m->loaded.model->n_vocab;
    float *logits = malloc(STEP * V * sizeof *logits);
    pf_session *session = open_session(m);
    pf_error error = {""};
    double found = 0, want = 0;
    size_t first = n - 1 - measured;
    if (first > 0 && !pf_session_append(session, ids, first, NULL, 0, &error))
        fail_msg("%s", error.message);
    for (size_t done = first, step; done < n - 1; done += step) {
        step = n - 1 - done < STEP ? n - 1 - done : STEP;
        if (!pf_session_append(session, ids + done, step, logits, step, &error))
            fail_msg("%s", error.message);
        for (size_t i = 0; i < step; i++) {
            found += loss_of(logits + i * V, V, ids[done + i + 1]);
            want += json_number_value(json_array_get(nll, done + i));
        }
    }
    print_message("%s %s: loss %.6f, golden %.6f\n", m->golden, name, found / (double)measured,
                  want / (double)measured);
    assert_true(fabs(found - want) / (double)measured < 1e-3);
    pf_session_free(session);
    free(logits);
    json_decref(json);
}

static void test_loss_of_64_tokens(void **state) {
    check_losses(need(state), "golden_prose64.json", 63);
}

static void test_loss_of_1400_tokens(void **state) {
    check_losses(need(state), "golden_prose1400.json", 128);
}

/* One token at a time, through the window's end as well. */
static void test_tokens_one_by_one(void **state) {
    enum { BEGIN = 480, END = 560 };
    const pretrained *m = need(state);
    int32_t ids[1400];
    json_t *json = golden(m, "golden_prose1400.json");
    const json_t *nll = json_object_get(json, "nll");
    read_ids(json_object_get(json, "ids"), ids, 1400);
    size_t V = m->loaded.model->n_vocab;
    float *logits = malloc(V * sizeof *logits);
    pf_session *session = open_session(m);
    assert_true(pf_session_append(session, ids, BEGIN, NULL, 0, NULL));
    double difference = 0;
    for (size_t i = BEGIN; i < END; i++) {
        assert_true(pf_session_append(session, &ids[i], 1, logits, 1, NULL));
        difference += loss_of(logits, V, ids[i + 1]) - json_number_value(json_array_get(nll, i));
    }
    assert_true(fabs(difference) / (END - BEGIN) < 2e-3);
    pf_session_free(session);
    free(logits);
    json_decref(json);
}

/* The golden text is right up to its first choice between two nearly equal logits. */
static void test_greedy(void **state) {
    const pretrained *m = need(state);
    int32_t prompt[64], want[64];
    json_t *json = golden(m, "golden_greedy_france.json");
    size_t n_prompt = read_ids(json_object_get(json, "prompt_ids"), prompt, 64);
    size_t n = read_ids(json_object_get(json, "new_ids"), want, 64), V = m->loaded.model->n_vocab;
    const json_t *margins = json_object_get(json, "margins");
    float *logits = malloc(V * sizeof *logits);
    pf_session *session = open_session(m);
    assert_true(pf_session_append(session, prompt, n_prompt, logits, 1, NULL));
    size_t compared = 0;
    for (; compared < n; compared++) {
        if (json_number_value(json_array_get(margins, compared)) < 0.05) break;
        size_t best = 0;
        for (size_t v = 1; v < V; v++)
            if (logits[v] > logits[best]) best = v;
        assert_int_equal(best, want[compared]);
        assert_true(pf_session_append(session, &want[compared], 1, logits, 1, NULL));
    }
    assert_true(compared >= 10);
    pf_session_free(session);
    free(logits);
    json_decref(json);
}

/* 3 global layers keep all keys and values, 15 sliding ones a window of 512 each. */
static void test_state_of_gemma(void **state) {
    const pretrained *m = need(state);
    const pf_model *model = m->loaded.model;
    pf_session_options options = pf_session_options_default(model);
    size_t row = 2 * model->head_dim * sizeof(float), sliding = 15 * 512 * row;
    options.context = 32768;
    assert_int_equal(pf_state_bytes(model, &options), sliding + 3 * 32768 * row);
    options.attention.kv = PF_KV_F16;
    assert_int_equal(pf_state_bytes(model, &options), (sliding + 3 * 32768 * row) / 2);
    options.attention.kv = PF_KV_F32;
    options.attention.kind = PF_ATTENTION_FAVOR;
    size_t favor = pf_state_bytes(model, &options), M = options.attention.features;
    assert_true(favor > sliding && favor < sliding + 3 * (M + 1) * (model->head_dim + 17) * 4);
    options.context = 1000000;
    assert_int_equal(pf_state_bytes(model, &options), favor);
}

static int close_models(void **state) {
    (void)state;
    pf_loaded_close(&gemma.loaded);
    pf_loaded_close(&qwen.loaded);
    return 0;
}

#define CASE(test, model)                                                                          \
    { #model ": " #test, test, NULL, NULL, &model }

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_tokenizer, gemma),
        CASE(test_loss_of_64_tokens, gemma),
        CASE(test_loss_of_1400_tokens, gemma),
        CASE(test_tokens_one_by_one, gemma),
        CASE(test_greedy, gemma),
        CASE(test_state_of_gemma, gemma),
        CASE(test_tokenizer, qwen),
        CASE(test_loss_of_64_tokens, qwen),
        CASE(test_greedy, qwen),
    };
    return cmocka_run_group_tests_name("pretrained", tests, NULL, close_models);
}
