/* floor 6.2 - tests of training in float: it learns, as the engine computes, and goes on exactly.
 */
#define _POSIX_C_SOURCE 200809L
#include "train_step.h"

#include "bpe_learn.h"
#include "load.h"
#include "memory.h"
#include "new_model.h"
#include "probability.h"
#include "projection.h"
#include "session.h"
#include "trained_write.h"
#include "training_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTEXT = 150, TEXT = 6000, PIECES = 300 };

/* A model of two layers with its tokens: a text in which each word asks for the next. */
typedef struct {
    pf_loaded loaded;
    pf_tokens ids;
    char text[TEXT];
} fixture;

static void set_up(fixture *f) {
    static const char *const words[] = {"the cat ", "sat ", "on a mat ", "and saw ", "a dog. "};
    pf_error error = {""};
    size_t n = 0;
    pf_rng rng;
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    pf_rng_seed(&rng, 5, 0);
    while (n + 16 < TEXT) {
        const char *word = words[pf_rng_u64(&rng) % 5];
        memcpy(f->text + n, word, strlen(word));
        n += strlen(word);
    }
    pf_slice text = {(const uint8_t *)f->text, n};
    assert_true(pf_bpe_learn(&text, 1, PIECES, &vocabulary, &storage, &error));
    pf_new_shape shape = {2, 32, 48, 4, 2, CONTEXT, 1};
    pf_checkpoint *made = pf_new_model(&shape, &vocabulary, &error);
    pf_vocabulary_storage_free(&storage);
    if (!made || !pf_loaded_bind(made, &f->loaded, &error)) fail_msg("%s", error.message);
    f->ids = (pf_tokens){0};
    assert_true(
        pf_tokenizer_encode(f->loaded.tokenizer, f->text, n, PF_ENCODE_BOS, &f->ids, &error));
    assert_true(f->ids.count > 2 * CONTEXT);
}

static void tear_down(fixture *f) {
    pf_tokens_free(&f->ids);
    pf_loaded_close(&f->loaded);
}

static pf_train_options options_for(pf_attention_kind kind) {
    pf_train_options o = {.attention = pf_attention_options_default(),
                          .redraw = 4,
                          .steps = 24,
                          .warm_up = 2,
                          .batch = 3,
                          .accumulate = 1,
                          .tokens = 40,
                          .rate = 0.01,
                          .adamw = {0.9, 0.95, 0.1, 1},
                          .seed = 7,
                          .n_threads = 2};
    o.attention.kind = kind;
    o.attention.features = 16;
    return o;
}

static pf_trainer *trainer_of(const fixture *f, const pf_train_options *o) {
    return new_trainer(f->loaded.model, o, f->ids.ids, f->ids.count);
}

static void test_it_learns(void **state) {
    (void)state;
    static const pf_attention_kind kinds[] = {PF_ATTENTION_SOFTMAX, PF_ATTENTION_FAVOR};
    fixture f;
    set_up(&f);
    for (size_t i = 0; i < 2; i++) {
        pf_train_options o = options_for(kinds[i]);
        pf_trainer *t = trainer_of(&f, &o);
        double first = step(t), last = 0;
        while (pf_trainer_state(t)->step < o.steps) last = step(t);
        assert_true(fabs(first - log(PIECES)) < 0.3); /* it begins by knowing nothing */
        assert_true(last < first - 2);
        pf_trainer_free(t);
    }
    tear_down(&f);
}

/* ---- as the engine computes ---- */

static double engine_loss(const pf_loaded *loaded, const int32_t *ids, size_t n) {
    pf_error error = {""};
    size_t V = loaded->model->n_vocab;
    pf_session_options o = pf_session_options_default(loaded->model);
    pf_session *s = pf_session_new(loaded->model, &o, &error);
    float *logits = pf_calloc((n - 1) * V, sizeof *logits, "", &error);
    if (!s || !logits || !pf_session_append(s, ids, n - 1, logits, n - 1, &error))
        fail_msg("%s", error.message);
    double loss = 0;
    for (size_t t = 0; t + 1 < n; t++) {
        const float *row = logits + t * V;
        loss += pf_softmax_of(row, V, NULL).log_sum - (double)row[ids[t + 1]];
    }
    pf_free(logits);
    pf_session_free(s);
    return loss;
}

static void assert_as_the_engine(const fixture *f, pf_train_options o) {
    pf_error error = {""};
    pf_loaded written;
    o.tokens = CONTEXT; /* more than two chunks, and no multiple of one */
    o.batch = 1;
    pf_trainer *t = trainer_of(f, &o);
    for (int i = 0; i < 6; i++) step(t);
    pf_checkpoint *c =
        pf_trained_to_checkpoint(t, f->loaded.model, &o.attention, f->loaded.checkpoint, &error);
    if (!c || !pf_loaded_bind(c, &written, &error)) fail_msg("%s", error.message);
    assert_int_equal(written.model->attention.kind, o.attention.kind);
    double expected = engine_loss(&written, f->ids.ids, CONTEXT + 1);
    double loss = pf_trainer_loss(t, f->ids.ids, CONTEXT + 1);
    if (!(fabs(loss - expected) < 1e-5 * expected))
        fail_msg("%s, %s: %.7g in training, %.7g in the engine",
                 pf_attention_name(o.attention.kind), pf_map_name(o.attention.map), loss, expected);
    pf_loaded_close(&written);
    pf_trainer_free(t);
}

static void test_the_engine_agrees(void **state) {
    (void)state;
    static const pf_map_kind maps[] = {PF_MAP_POSITIVE, PF_MAP_HYPERBOLIC, PF_MAP_FAVOR_PP,
                                       PF_MAP_RELU, PF_MAP_ELU};
    fixture f;
    set_up(&f);
    assert_as_the_engine(&f, options_for(PF_ATTENTION_SOFTMAX));
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        pf_train_options o = options_for(PF_ATTENTION_FAVOR);
        o.attention.map = maps[i];
        if (maps[i] == PF_MAP_ELU) o.attention.features = f.loaded.model->head_dim;
        assert_as_the_engine(&f, o);
        o.attention.window = 20;
        o.attention.sinks = 3;
        assert_as_the_engine(&f, o);
    }
    tear_down(&f);
}

/* ---- gradients in float ---- */

/* Along its gradient a loss must rise by |gradient| per unit. */
static void test_gradient_in_float(void **state) {
    (void)state;
    static const pf_attention_kind kinds[] = {PF_ATTENTION_SOFTMAX, PF_ATTENTION_FAVOR};
    fixture f;
    set_up(&f);
    for (size_t k = 0; k < 2; k++) {
        pf_train_options o = options_for(kinds[k]);
        o.redraw = 0;
        pf_trainer *t = trainer_of(&f, &o);
        for (int i = 0; i < 8; i++) step(t);
        pf_adamw_state *s = &pf_trainer_state(t)->numbers;
        float *kept = pf_calloc(s->n, sizeof *kept, "", NULL);
        assert_non_null(kept);
        memcpy(kept, s->weights, s->n * sizeof *kept);
        /* a rate of 0 leaves the gradient of a step, over windows that are all the same */
        pf_train_options same = o;
        same.rate = 0;
        same.tokens = f.ids.count - 1;
        same.batch = 1;
        pf_trainer *still = trainer_of(&f, &same);
        memcpy(pf_trainer_state(still)->numbers.weights, kept, s->n * sizeof *kept);
        step(still);
        const float *g = pf_trainer_state(still)->numbers.gradient;
        double norm2 = 0, losses[2], reach = 0.02;
        for (size_t i = 0; i < s->n; i++) norm2 += (double)g[i] * (double)g[i];
        for (int side = 0; side < 2; side++) {
            double along = (side ? reach : -reach) / sqrt(norm2);
            for (size_t i = 0; i < s->n; i++)
                pf_trainer_state(still)->numbers.weights[i] =
                    (float)((double)kept[i] + along * (double)g[i]);
            losses[side] =
                pf_trainer_loss(still, f.ids.ids, f.ids.count) / (double)(f.ids.count - 1);
        }
        double slope = (losses[1] - losses[0]) / (2 * reach);
        if (!(fabs(slope - sqrt(norm2)) < 1e-3 * sqrt(norm2)))
            fail_msg("a slope of %g, but a gradient of norm %g", slope, sqrt(norm2));
        pf_free(kept);
        pf_trainer_free(still);
        pf_trainer_free(t);
    }
    tear_down(&f);
}

/* ---- features ---- */

/* New ones every `redraw` steps, for every head; the first are those that a session would draw. */
static void test_redraws(void **state) {
    (void)state;
    fixture f;
    set_up(&f);
    pf_train_options o = options_for(PF_ATTENTION_FAVOR);
    size_t m, D = f.loaded.model->head_dim, H = f.loaded.model->n_heads;
    float first[4][16 * 8];
    double scratch[8 * 8];
    pf_trainer *t = trainer_of(&f, &o);
    for (size_t i = 0; i < 4; i++) {
        pf_rng rng;
        pf_rng_seed(&rng, 1, (i / 2 * H + i % 2 * 2) << 32);
        pf_projection_draw(&rng, PF_PROJECTION_ORTHOGONAL, 16, D, first[i], scratch);
    }
    for (size_t n = 1; n <= 9; n++) {
        step(t);
        for (size_t i = 0; i < 4; i++) {
            const float *omega = pf_trainer_omega(t, i / 2, i % 2, &m);
            assert_int_equal(m, 16);
            bool same = memcmp(omega, first[i], m * D * sizeof *omega) == 0;
            assert_true(same == (n != 5 && n != 9));
            memcpy(first[i], omega, m * D * sizeof *omega);
        }
    }
    pf_trainer_free(t);
    tear_down(&f);
}

/* ---- the same numbers ---- */

static void test_any_number_of_threads(void **state) {
    (void)state;
    static const pf_attention_kind kinds[] = {PF_ATTENTION_SOFTMAX, PF_ATTENTION_FAVOR};
    fixture f;
    set_up(&f);
    for (size_t k = 0; k < 2; k++) {
        pf_train_options one = options_for(kinds[k]), three = one;
        one.n_threads = 1;
        three.n_threads = 3;
        pf_trainer *a = trainer_of(&f, &one), *b = trainer_of(&f, &three);
        for (int i = 0; i < 5; i++) assert_true(step(a) == step(b));
        pf_trainer_free(a);
        pf_trainer_free(b);
    }
    tear_down(&f);
}

/* Two batches of one sequence are the same step as one batch of two. */
static void test_accumulated_batches(void **state) {
    (void)state;
    fixture f;
    set_up(&f);
    pf_train_options whole = options_for(PF_ATTENTION_FAVOR), parts = whole;
    whole.batch = 4;
    parts.batch = 2;
    parts.accumulate = 2;
    pf_trainer *a = trainer_of(&f, &whole), *b = trainer_of(&f, &parts);
    for (int i = 0; i < 5; i++) assert_true(fabs(step(a) - step(b)) < 1e-3);
    pf_trainer_free(a);
    pf_trainer_free(b);
    tear_down(&f);
}

static void test_it_goes_on_exactly(void **state) {
    (void)state;
    char path[] = "/tmp/pf_train_XXXXXX";
    pf_error error = {""};
    fixture f;
    close(mkstemp(path));
    set_up(&f);
    pf_train_options o = options_for(PF_ATTENTION_FAVOR);
    pf_trainer *whole = trainer_of(&f, &o), *first = trainer_of(&f, &o),
               *second = trainer_of(&f, &o);
    pf_training_curves curves = {0}, again = {0};
    for (int i = 0; i < 10; i++) { /* between two draws */
        double loss = step(whole);
        assert_true(step(first) == loss);
        assert_true(pf_training_curves_add(&curves, loss, &error));
    }
    assert_true(pf_training_curves_add_held(&curves, 10, 4.5, NAN, &error));
    assert_true(pf_training_state_write(path, first, "steps 24\n", &curves, &error));
    if (!pf_training_state_read(path, second, "steps 24\n", &again, &error))
        fail_msg("%s", error.message);
    assert_int_equal(again.n_train, 10);
    assert_int_equal(again.n_held, 1);
    assert_int_equal(again.held[0].step, 10);
    assert_true(again.train[9] == curves.train[9] && again.held[0].loss == 4.5f &&
                isnan(again.held[0].other));
    double a = pf_trainer_loss(whole, f.ids.ids, 30), b = pf_trainer_loss(second, f.ids.ids, 30);
    assert_true(a == b); /* the features, too, are those of the last step */
    for (int i = 0; i < 10; i++) assert_true(step(whole) == step(second));

    assert_false(pf_training_state_read(path, first, "steps 25\n", &again, &error));
    assert_non_null(strstr(error.message, "\"steps 24\" there, \"steps 25\" here"));
    assert_false(pf_training_state_read(path, first, "steps 24\nmore\n", &again, &error));
    assert_false(
        pf_training_state_read("models/weights/tales-favor.gguf", first, "", &again, &error));
    assert_non_null(strstr(error.message, "not the state of a training run"));
    pf_training_curves_free(&curves);
    pf_training_curves_free(&again);
    pf_trainer_free(whole);
    pf_trainer_free(first);
    pf_trainer_free(second);
    unlink(path);
    tear_down(&f);
}

/* ---- refusals ---- */

static void test_a_loss_that_is_no_number(void **state) {
    (void)state;
    static const pf_attention_kind kinds[] = {PF_ATTENTION_SOFTMAX, PF_ATTENTION_FAVOR};
    fixture f;
    set_up(&f);
    for (size_t k = 0; k < 2; k++) {
        pf_train_options o = options_for(kinds[k]);
        pf_trainer *t = trainer_of(&f, &o);
        pf_error error = {""};
        pf_train_report report;
        step(t);
        pf_train_state *s = pf_trainer_state(t);
        float kept = s->weights.layers[0].output[3];
        s->weights.layers[1].qkv[5] = NAN;
        assert_false(pf_trainer_step(t, &report, &error));
        assert_non_null(strstr(error.message, "in step 2 the loss is"));
        assert_int_equal(s->step, 1);
        assert_true(s->weights.layers[0].output[3] == kept);
        pf_trainer_free(t);
    }
    tear_down(&f);
}

static void assert_refused(const fixture *f, const pf_model *model, pf_train_options o, size_t n,
                           const char *part) {
    pf_error error = {""};
    assert_null(pf_trainer_new(model, &o, f->ids.ids, n, &error));
    if (!strstr(error.message, part)) fail_msg("no \"%s\" in: %s", part, error.message);
}

static void test_refusals(void **state) {
    (void)state;
    fixture f;
    set_up(&f);
    const pf_model *model = f.loaded.model;
    pf_train_options o = options_for(PF_ATTENTION_FAVOR);
    assert_refused(&f, model, o, 40, "has 40 tokens, but one sequence needs 41");
    o.attention.map = PF_MAP_TRIG;
    assert_refused(&f, model, o, f.ids.count, "the map trig has negative features");
    o.attention.map = PF_MAP_NORMALIZED;
    assert_refused(&f, model, o, f.ids.count, "performer calibrate");
    o = options_for(PF_ATTENTION_LOCAL);
    assert_refused(&f, model, o, f.ids.count, "not local");
    pf_model capped = *model;
    capped.logit_cap = 30;
    o = options_for(PF_ATTENTION_SOFTMAX);
    assert_refused(&f, &capped, o, f.ids.count, "cannot be trained");
    f.ids.ids[7] = PIECES;
    assert_refused(&f, model, o, f.ids.count, "token id 300 at place 7");
    tear_down(&f);
}

/* Every allocation that fails is reported, and nothing leaks (under make asan). */
static void test_out_of_memory(void **state) {
    (void)state;
    fixture f;
    set_up(&f);
    pf_train_options o = options_for(PF_ATTENTION_FAVOR);
    pf_trainer *t = NULL;
    for (long n = 1; !t && n < 50; n++) {
        pf_error error = {""};
        pf_memory_fail_after(n);
        t = pf_trainer_new(f.loaded.model, &o, f.ids.ids, f.ids.count, &error);
        pf_memory_fail_after(0);
        assert_true(t || error.message[0]);
    }
    assert_non_null(t);
    pf_trainer_free(t);
    tear_down(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_learns),
        cmocka_unit_test(test_the_engine_agrees),
        cmocka_unit_test(test_gradient_in_float),
        cmocka_unit_test(test_redraws),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_accumulated_batches),
        cmocka_unit_test(test_it_goes_on_exactly),
        cmocka_unit_test(test_a_loss_that_is_no_number),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
