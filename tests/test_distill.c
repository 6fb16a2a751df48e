/* floor 6.3 - tests of distilling: it learns, as the engine computes, and what it writes holds. */
#define _POSIX_C_SOURCE 200809L
#include "tiny_performer.h"
#include "train_step.h"

#include "distilled_write.h"
#include "gguf_write.h"
#include "probability.h"
#include "session.h"

#include <math.h>
#include <unistd.h>

enum { LENGTH = 24, TEXT = 60, RANK = 2 };

static pf_trainer *trainer_of(const pf_loaded *loaded, const int32_t *ids, int n_threads) {
    pf_train_options o = {.attention = loaded->model->attention,
                          .rank = RANK,
                          .steps = 60,
                          .warm_up = 2,
                          .batch = 3,
                          .accumulate = 1,
                          .tokens = LENGTH,
                          .rate = 0.005,
                          .adamw = {0.9, 0.95, 0.1, 1},
                          .seed = 3,
                          .n_threads = n_threads};
    return new_trainer(loaded->model, &o, ids, TEXT);
}

static void random_text(int32_t *ids) {
    pf_rng rng;
    pf_rng_seed(&rng, 6, 6);
    for (size_t i = 0; i < TEXT; i++) ids[i] = (int32_t)(pf_rng_uniform(&rng) * V);
}

static void logits_of(const pf_model *model, pf_attention_kind kind, const int32_t *ids,
                      float *logits) {
    pf_error error = {""};
    pf_session_options o = pf_session_options_default(model);
    o.attention.kind = kind;
    pf_session *s = pf_session_new(model, &o, &error);
    if (!s || !pf_session_append(s, ids, LENGTH, logits, LENGTH, &error))
        fail_msg("%s", error.message);
    pf_session_free(s);
}

/* The sum of KL(teacher under softmax || learner under its own attention), by the engine. */
static double engine_divergence(const pf_model *teacher, const pf_model *learner,
                                const int32_t *ids) {
    static float p[LENGTH * V], q[LENGTH * V];
    double sum = 0;
    logits_of(teacher, PF_ATTENTION_SOFTMAX, ids, p);
    logits_of(learner, PF_ATTENTION_FAVOR, ids, q);
    for (size_t t = 0; t < LENGTH; t++) {
        double of_p = pf_softmax_of(p + t * V, V, NULL).log_sum;
        double of_q = pf_softmax_of(q + t * V, V, NULL).log_sum;
        for (size_t i = 0; i < V; i++) {
            double log_p = (double)p[t * V + i] - of_p, log_q = (double)q[t * V + i] - of_q;
            sum += exp(log_p) * (log_p - log_q);
        }
    }
    return sum;
}

static void assert_near(const char *what, double value, double expected, double tolerance) {
    if (!(fabs(value - expected) < tolerance * expected))
        fail_msg("%s: %.7g in training, %.7g in the engine", what, value, expected);
}

static void test_the_engine_agrees(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded, written;
    int32_t ids[TEXT];
    random_text(ids);
    if (!pf_loaded_bind(tiny_performer(), &loaded, &error)) fail_msg("%s", error.message);
    pf_trainer *t = trainer_of(&loaded, ids, 2);
    double first = pf_trainer_loss(t, ids, LENGTH + 1);
    assert_near("as calibrated", first, engine_divergence(loaded.model, loaded.model, ids), 1e-3);
    double early = 0, late = 0;
    for (int i = 0; i < 10; i++) early += step(t);
    for (int i = 0; i < 40; i++) step(t);
    for (int i = 0; i < 10; i++) late += step(t);
    if (!(late < 0.7 * early)) fail_msg("a divergence of %g became %g", early / 10, late / 10);
    double last = pf_trainer_loss(t, ids, LENGTH + 1);
    pf_checkpoint *c = pf_distilled_to_checkpoint(t, loaded.checkpoint, true, &error);
    if (!c || !pf_loaded_bind(c, &written, &error)) fail_msg("%s", error.message);
    assert_near("merged", last, engine_divergence(loaded.model, written.model, ids), 1e-3);
    pf_loaded_close(&written);
    pf_trainer_free(t);
    pf_loaded_close(&loaded);
}

/* The features in one file and the update in another say what the merged file says; without the
 * adapter, the file is under softmax what it was. */
static void test_an_adapter(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded, written;
    char model[] = "/tmp/pf_distilled_XXXXXX", adapter[] = "/tmp/pf_adapter_XXXXXX";
    const pf_gguf_options as_it_is = {0};
    static float before[LENGTH * V], after[LENGTH * V];
    int32_t ids[TEXT];
    random_text(ids);
    close(mkstemp(model));
    close(mkstemp(adapter));
    if (!pf_loaded_bind(tiny_performer(), &loaded, &error)) fail_msg("%s", error.message);
    pf_trainer *t = trainer_of(&loaded, ids, 1);
    while (pf_trainer_state(t)->step < 10) step(t);
    double expected = pf_trainer_loss(t, ids, LENGTH + 1);
    pf_checkpoint *c = pf_distilled_to_checkpoint(t, loaded.checkpoint, false, &error);
    if (!c || !pf_gguf_write(c, model, &as_it_is, &error) ||
        !pf_distilled_write_adapter(t, adapter, &error))
        fail_msg("%s", error.message);
    pf_checkpoint_free(c);
    const pf_lora_source source = {adapter, 1};
    if (!pf_loaded_open_adapted(model, &source, 1, 1, &written, &error))
        fail_msg("%s", error.message);
    assert_near("with its adapter", expected, engine_divergence(loaded.model, written.model, ids),
                1e-3);
    pf_loaded_close(&written);
    assert_true(pf_loaded_open(model, &written, &error));
    logits_of(loaded.model, PF_ATTENTION_SOFTMAX, ids, before);
    logits_of(written.model, PF_ATTENTION_SOFTMAX, ids, after);
    assert_memory_equal(before, after, sizeof before);
    pf_loaded_close(&written);
    pf_trainer_free(t);
    pf_loaded_close(&loaded);
    remove(model);
    remove(adapter);
}

static void test_any_number_of_threads(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded;
    int32_t ids[TEXT];
    random_text(ids);
    if (!pf_loaded_bind(tiny_performer(), &loaded, &error)) fail_msg("%s", error.message);
    pf_trainer *a = trainer_of(&loaded, ids, 1), *b = trainer_of(&loaded, ids, 3);
    for (int i = 0; i < 5; i++) assert_true(step(a) == step(b));
    pf_trainer_free(a);
    pf_trainer_free(b);
    pf_loaded_close(&loaded);
}

/* A map that is fitted needs features, and for as many as are asked for. */
static void test_without_features(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded;
    int32_t ids[TEXT];
    random_text(ids);
    if (!pf_loaded_bind(whole(), &loaded, &error)) fail_msg("%s", error.message);
    pf_train_options o = {.attention = pf_attention_options_default(), .rank = 2, .tokens = LENGTH};
    o.batch = o.accumulate = 1;
    o.attention.kind = PF_ATTENTION_FAVOR;
    o.attention.map = PF_MAP_NORMALIZED;
    assert_null(pf_trainer_new(loaded.model, &o, ids, TEXT, &error));
    assert_non_null(strstr(error.message, "performer calibrate"));
    pf_loaded_close(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_engine_agrees),
        cmocka_unit_test(test_an_adapter),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_without_features),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
