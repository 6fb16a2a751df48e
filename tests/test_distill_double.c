/* floor 6.3 - tests of distilling in double: the gradient of all that is learned, against central
 * differences (see test_train_double.c). */
#define PF_REAL_DOUBLE
#include "tiny_performer.h"
#include "train_rows.h"
#include "trainer.h"

#include "gradients.h"

enum { BATCH = 2, LENGTH = 20, RANK = 3, PLACES = 300 };

static double divergence(const double *teacher, const double *logits, size_t n) {
    double sum_p = 0, sum_q = 0, kl = 0;
    for (size_t i = 0; i < n; i++) sum_p += exp(teacher[i]), sum_q += exp(logits[i]);
    for (size_t i = 0; i < n; i++)
        kl += exp(teacher[i]) / sum_p * (teacher[i] - log(sum_p) - logits[i] + log(sum_q));
    return kl;
}

static void test_divergence(void **state) {
    (void)state;
    enum { N = 24 };
    double teacher[N], logits[N], p[N], d[N], scratch[N];
    pf_rng_seed(&rng, 1, 1);
    for (size_t i = 0; i < N; i++)
        teacher[i] = pf_rng_normal(&rng), logits[i] = pf_rng_normal(&rng);
    memcpy(p, teacher, sizeof p);
    memcpy(d, logits, sizeof d);
    double loss = pf_divergence(N, p, d, 3, scratch);
    assert_true(fabs(loss - divergence(teacher, logits, N)) < 1e-12);
    for (size_t i = 0; i < N; i++) {
        double kept = logits[i];
        logits[i] = kept + STEP;
        double above = divergence(teacher, logits, N);
        logits[i] = kept - STEP;
        double below = divergence(teacher, logits, N);
        logits[i] = kept;
        assert_true(fabs(3 * (above - below) / (2 * STEP) - d[i]) < 1e-8);
    }
}

typedef struct lesson {
    pf_trainer *trainer;
    int32_t ids[LENGTH + 1];
} lesson;

/* The mean loss over the batch, whose sequences are all the same text. */
static double loss_of_lesson(void *context) {
    const lesson *l = context;
    pf_trainer_resumed(l->trainer); /* makes the matrices of the numbers as they are now */
    return pf_trainer_loss(l->trainer, l->ids, LENGTH + 1) / LENGTH;
}

static void test_gradient(void **state) {
    (void)state;
    pf_loaded loaded;
    pf_error error = {""};
    pf_train_report report;
    lesson l;
    if (!pf_loaded_bind(tiny_performer(), &loaded, &error)) fail_msg("%s", error.message);
    pf_train_options o = {.attention = loaded.model->attention,
                          .rank = RANK,
                          .steps = 10,
                          .batch = BATCH,
                          .accumulate = 2,
                          .tokens = LENGTH,
                          .adamw = {.beta1 = 0.9, .beta2 = 0.95},
                          .n_threads = 2};
    pf_rng_seed(&rng, 4, 4);
    for (size_t i = 0; i <= LENGTH; i++) l.ids[i] = (int32_t)(pf_rng_uniform(&rng) * V);
    pf_trainer *t = pf_trainer_new(loaded.model, &o, l.ids, LENGTH + 1, &error);
    l.trainer = t;
    if (!t) fail_msg("%s", error.message);
    pf_adamw_state *s = &pf_trainer_state(t)->numbers;
    size_t n_lora = pf_trainer_distill(t)->n_lora;
    assert_int_equal(s->n, n_lora + (H / KV + 1) * (3 + 1 + TINY_M + 1) * (D + 1));
    for (size_t i = 0; i < n_lora; i++) s->weights[i] += 0.2 * pf_rng_normal(&rng);
    pf_trainer_resumed(t);
    assert_true(pf_trainer_step(t, &report, &error)); /* a rate of 0: only the gradient */
    assert_true(fabs(report.loss - loss_of_lesson(&l)) < 1e-12);
    assert_true(report.loss > 0.001);
    assert_gradient("the update of low rank", loss_of_lesson, &l, s->weights, n_lora, s->gradient,
                    PLACES);
    assert_gradient("the features", loss_of_lesson, &l, s->weights + n_lora, s->n - n_lora,
                    s->gradient + n_lora, PLACES);
    pf_trainer_free(t);
    pf_loaded_close(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
