/* floor 6.1 - tests of a real pretrained model: SmolLM2-135M-Instruct (`make smollm2`).
 *
 * Its goldens come from a float64 forward pass. The float path must give their logits, loss and
 * greedy texts; the int8 path their loss and their clear choices. */
#include "testing.h"

#include "load.h"
#include "session.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "models/downloads/smollm2-135m-instruct.gguf"
#define GOLDEN "../shared/data/models/smollm2-135m-instruct/"

enum { N = 1024, CHUNK = 64 };

static pf_loaded loaded;

static void need_all(void) {
    need_file(MODEL);
    need_file(GOLDEN "golden_nll.json");
    pf_error error = {""};
    if (!loaded.model && !pf_loaded_open(MODEL, &loaded, &error)) fail_msg("%s", error.message);
}

static pf_session *open_session(bool float_activations) {
    pf_session_options options = pf_session_options_default(loaded.model);
    options.context = 2048;
    options.float_activations = float_activations;
    pf_error error = {""};
    pf_session *session = pf_session_new(loaded.model, &options, &error);
    if (!session) fail_msg("%s", error.message);
    return session;
}

static size_t best_of(const float *logits) {
    size_t best = 0;
    for (size_t i = 1; i < loaded.model->n_vocab; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static double log_p(const float *logits, int32_t target) {
    double top = (double)logits[best_of(logits)], sum = exp((double)logits[0] - top);
    for (size_t i = 1; i < loaded.model->n_vocab; i++) sum += exp((double)logits[i] - top);
    return (double)logits[target] - top - log(sum);
}

static void read_ids(int32_t *ids) {
    FILE *file = fopen(GOLDEN "golden_logits_tokens.txt", "r");
    assert_non_null(file);
    for (int i = 0; i < N; i++) assert_int_equal(fscanf(file, "%d", &ids[i]), 1);
    fclose(file);
}

/* Reads the 1,024 golden tokens; returns the mean loss and, if wanted, the largest difference from
 * the golden logits at 8 positions. */
static double read_golden_text(bool float_activations, double *difference) {
    static const size_t positions[] = {0, 1, 7, 63, 255, 511, 767, 1023};
    int32_t ids[N];
    read_ids(ids);
    size_t V = loaded.model->n_vocab, next = 0;
    float *logits = malloc(CHUNK * V * sizeof *logits), *golden = malloc(V * sizeof *golden);
    FILE *file = fopen(GOLDEN "golden_logits_8x49152.f32", "rb");
    assert_non_null(file);
    pf_session *session = open_session(float_activations);
    double nll = 0;
    *difference = 0;
    for (size_t done = 0; done < N; done += CHUNK) {
        pf_error error = {""};
        if (!pf_session_append(session, ids + done, CHUNK, logits, CHUNK, &error))
            fail_msg("%s", error.message);
        for (size_t i = 0; i < CHUNK; i++) {
            size_t at = done + i;
            if (at + 1 < N) nll -= log_p(logits + i * V, ids[at + 1]);
            if (next == 8 || positions[next] != at) continue;
            next++;
            assert_int_equal(fread(golden, sizeof *golden, V, file), V);
            for (size_t v = 0; v < V; v++)
                *difference =
                    fmax(*difference, fabs((double)logits[i * V + v] - (double)golden[v]));
        }
    }
    fclose(file);
    pf_session_free(session);
    free(logits);
    free(golden);
    return nll / (N - 1);
}

static double golden_loss(void) {
    json_t *json = json_load_file(GOLDEN "golden_nll.json", 0, NULL);
    assert_non_null(json);
    double loss = json_number_value(json_object_get(json, "sum_nll")) /
                  json_number_value(json_object_get(json, "n_predicted"));
    json_decref(json);
    return loss;
}

static void logits_and_loss_on_the_float_path(void **state) {
    (void)state;
    need_all();
    double difference, loss = read_golden_text(true, &difference), want = golden_loss();
    print_message("logits off by %.2g, loss %.6f, golden %.6f\n", difference, loss, want);
    assert_true(difference < 2e-3);
    assert_true(fabs(loss - want) < 1e-4);
}

static void loss_on_the_int8_path(void **state) {
    (void)state;
    need_all();
    double difference, loss = read_golden_text(false, &difference), want = golden_loss();
    print_message("loss %.6f, golden %.6f\n", loss, want);
    assert_true(fabs(loss / want - 1) < 0.005);
}

static size_t read_array(const json_t *array, int32_t *ids) {
    size_t n = json_array_size(array);
    assert_true(n < 512);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return n;
}

/* Writes each golden text, fed the golden tokens: the same choice everywhere on the float path, and
 * wherever the golden's two best logits are at least 0.5 apart on the int8 path. */
static void check_greedy(bool float_activations) {
    need_all();
    json_t *json = json_load_file(GOLDEN "golden_greedy.json", 0, NULL);
    assert_non_null(json);
    float *logits = malloc(loaded.model->n_vocab * sizeof *logits);
    const char *name;
    json_t *text;
    json_object_foreach(json, name, text) {
        int32_t prompt[512], want[512];
        size_t n_prompt = read_array(json_object_get(text, "prompt_tokens"), prompt);
        size_t n = read_array(json_object_get(text, "greedy_tokens"), want);
        const json_t *gaps = json_object_get(text, "top2_gap");
        pf_session *session = open_session(float_activations);
        assert_true(pf_session_append(session, prompt, n_prompt, logits, 1, NULL));
        for (size_t i = 0; i < n; i++) {
            bool clear = json_number_value(json_array_get(gaps, i)) >= 0.5;
            if (float_activations || clear) assert_int_equal(best_of(logits), want[i]);
            assert_true(pf_session_append(session, &want[i], 1, logits, 1, NULL));
        }
        pf_session_free(session);
    }
    json_decref(json);
    free(logits);
}

static void greedy_texts_on_the_float_path(void **state) {
    (void)state;
    check_greedy(true);
}

static void clear_choices_on_the_int8_path(void **state) {
    (void)state;
    check_greedy(false);
}

static int close_model(void **state) {
    (void)state;
    pf_loaded_close(&loaded);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_and_loss_on_the_float_path),
        cmocka_unit_test(loss_on_the_int8_path),
        cmocka_unit_test(greedy_texts_on_the_float_path),
        cmocka_unit_test(clear_choices_on_the_int8_path),
    };
    return cmocka_run_group_tests_name("smollm2", tests, NULL, close_model);
}
