/* floor 6.1 - tests of training against PyTorch: loss and gradient of a whole model.
 *
 * Writes a model, a batch and their gradient to files; tests/train_torch.py computes both again
 * with automatic differentiation. Skipped where no Python has PyTorch. */
#define _POSIX_C_SOURCE 200809L
#include "testing.h"

#include "bpe_learn.h"
#include "load.h"
#include "new_model.h"
#include "trainer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAYERS = 2, WIDTH = 32, HIDDEN = 48, HEADS = 4, KV_HEADS = 2, TOKENS = 144, BATCH = 2 };
enum { PIECES = 272, FEATURES = 16 };

/* A Python that has PyTorch, or NULL. */
static const char *python(void) {
    static const char *const names[] = {"python3", "/usr/bin/python3"};
    char command[100];
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "%s -c 'import torch' 2>/dev/null", names[i]);
        if (system(command) == 0) return names[i];
    }
    return NULL;
}

static FILE *create(const char *folder, const char *name) {
    char path[100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    return file;
}

static void write_numbers(const char *folder, const char *name, const void *numbers, size_t size) {
    FILE *file = create(folder, name);
    assert_int_equal(fwrite(numbers, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_omega(const char *folder, const pf_trainer *t) {
    FILE *file = create(folder, "omega.f32");
    size_t m, D = WIDTH / HEADS;
    for (size_t i = 0; i < LAYERS; i++)
        for (size_t k = 0; k < KV_HEADS; k++) {
            const float *omega = pf_trainer_omega(t, i, k, &m);
            assert_int_equal(fwrite(omega, sizeof *omega, m * D, file), m * D);
        }
    assert_int_equal(fclose(file), 0);
}

static void write_shape(const char *folder, const char *kind, double loss) {
    FILE *file = create(folder, "shape.txt");
    fprintf(file, "kind %s\nloss %.9g\nlayers %d\nwidth %d\nhidden %d\nheads %d\nkv_heads %d\n",
            kind, loss, LAYERS, WIDTH, HIDDEN, HEADS, KV_HEADS);
    fprintf(file, "head_dim %d\nvocabulary %d\ntokens %d\nfeatures %d\n", WIDTH / HEADS, PIECES,
            TOKENS, FEATURES);
    assert_int_equal(fclose(file), 0);
}

/* A step with a rate of 0 leaves its gradient. With as many tokens as a sequence needs, every
 * sequence of the batch is the text itself. */
static void compare(const pf_loaded *loaded, const char *kind, const char *program) {
    char folder[] = "/tmp/pf_torch_XXXXXX", command[200];
    pf_error error = {""};
    pf_train_report report;
    int32_t ids[BATCH * (TOKENS + 1)];
    pf_rng rng;
    pf_train_options o = {.attention = pf_attention_options_default(),
                          .steps = 10,
                          .batch = BATCH,
                          .accumulate = 1,
                          .tokens = TOKENS,
                          .adamw = {.beta1 = 0.9, .beta2 = 0.95},
                          .n_threads = 2};
    o.attention.features = FEATURES;
    if (strcmp(kind, "softmax") != 0) o.attention.kind = PF_ATTENTION_FAVOR;
    if (strcmp(kind, "relu") == 0) o.attention.map = PF_MAP_RELU;
    pf_rng_seed(&rng, 4, 4);
    for (size_t i = 0; i <= TOKENS; i++)
        ids[i] = ids[TOKENS + 1 + i] = (int32_t)(pf_rng_u64(&rng) % PIECES);
    pf_trainer *t = pf_trainer_new(loaded->model, &o, ids, TOKENS + 1, &error);
    if (!t) fail_msg("%s", error.message);
    pf_adamw_state *s = &pf_trainer_state(t)->numbers;
    for (size_t i = 0; i < s->n; i++) /* livelier than the first weights */
        s->weights[i] = s->weights[i] * 6 + 0.05f * (float)pf_rng_normal(&rng);
    for (size_t i = s->n_decayed; i < s->n; i++) s->weights[i] /= 6;
    assert_true(pf_trainer_step(t, &report, &error));
    assert_non_null(mkdtemp(folder));
    write_numbers(folder, "weights.f32", s->weights, s->n * sizeof(float));
    write_numbers(folder, "gradient.f32", s->gradient, s->n * sizeof(float));
    write_numbers(folder, "ids.i32", ids, sizeof ids);
    write_omega(folder, t);
    write_shape(folder, kind, report.loss);
    snprintf(command, sizeof command, "%s tests/train_torch.py %s >&2", program, folder);
    int status = system(command);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    pf_trainer_free(t);
    assert_int_equal(status, 0);
}

static void test_torch_agrees(void **state) {
    (void)state;
    static const char *const kinds[] = {"softmax", "positive", "relu"};
    static const char letters[] =
        "a text that gives a vocabulary of bytes and a few pairs of them, "
        "and these pairs again: a text that gives a few pairs of bytes";
    pf_error error = {""};
    pf_loaded loaded;
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    pf_slice text = {(const uint8_t *)letters, sizeof letters - 1};
    const char *program = python();
    if (!program) SKIP_BECAUSE("no Python here has PyTorch (Debian: python3-torch)");
    assert_true(pf_bpe_learn(&text, 1, PIECES, &vocabulary, &storage, &error));
    assert_int_equal(vocabulary.n_pieces, PIECES);
    pf_new_shape shape = {LAYERS, WIDTH, HIDDEN, HEADS, KV_HEADS, TOKENS, 1};
    pf_checkpoint *made = pf_new_model(&shape, &vocabulary, &error);
    pf_vocabulary_storage_free(&storage);
    if (!made || !pf_loaded_bind(made, &loaded, &error)) fail_msg("%s", error.message);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) compare(&loaded, kinds[i], program);
    pf_loaded_close(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torch_agrees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
